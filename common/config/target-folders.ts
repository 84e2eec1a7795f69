import type { Log } from '../daemon/log.ts';
import type { Files } from '../host.ts';
import { type Problem, unreadable } from './problem.ts';

/** A folder in which a daemon is to write. */
export interface TargetFolder {
  /** Key of the option that names the file, or the folder. */
  readonly path: string;
  readonly folder: string;
  /** What is written there, for people: `the state file`. */
  readonly what: string;
  /** Another program writes it, perhaps as another user: only a missing folder counts. */
  readonly byOthers?: true;
}

/**
 * Warnings for folders that are missing or may not be written to. Warnings, because `check` often runs on another host or as
 * another user than the daemon.
 */
export async function folderProblems(
  folders: readonly TargetFolder[],
  files: Pick<Files, 'facts' | 'isWritableFolder'>,
): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  for (const target of folders) {
    const { path } = target;
    const message = await folderProblem(target, files);
    if (message !== undefined) problems.push({ path, message, severity: 'warning' });
  }
  return problems;
}

async function folderProblem(
  { folder, what, byOthers }: TargetFolder,
  files: Pick<Files, 'facts' | 'isWritableFolder'>,
): Promise<string | undefined> {
  try {
    const { kind } = await files.facts(folder);
    if (kind !== 'folder') return `${folder} is not a folder, so ${what} cannot be written`;
  } catch (error) {
    return `the folder ${folder} ${unreadable(error as NodeJS.ErrnoException)}, so ${what} cannot be written`;
  }
  if (byOthers || (await files.isWritableFolder(folder))) return undefined;
  return `the user of this command (${process.geteuid?.() ?? 'unknown'}) may not write to the folder ${folder}, where ${what} belongs`;
}

/** Logs the warnings among the problems that a `check` command found. */
export function logWarnings(problems: readonly Problem[], file: string, log: Log): void {
  for (const { path, message, severity } of problems) {
    if (severity === 'warning') log.warn('configuration warning', { file, path, reason: message });
  }
}
