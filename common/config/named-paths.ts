import { dirname } from 'node:path';
import { ifThere } from '../file.ts';
import type { Files } from '../host.ts';
import { textWithoutNewline } from '../password-file.ts';
import { isObject } from './formats.ts';
import { joinPath, type Problem, unreadable } from './problem.ts';
import type { PathUse, Schema, SchemaProperty } from './schema.ts';

/** A path that a configuration names. */
export interface NamedPath {
  /** Key of the option: `etcd.password_file`. */
  readonly path: string;
  readonly file: string;
  readonly use: PathUse;
}

type ReadFiles = Pick<Files, 'facts' | 'read' | 'isWritableFolder'>;

/** What is wrong with a path, without the key of its option. */
type Finding = Pick<Problem, 'message' | 'severity'>;

/** The paths that a section names in options that its schema marks with `names`. Defaults are not among them. */
export function pathsIn<Options>(schema: Schema<Options>, section: unknown, at: string): readonly NamedPath[] {
  if (!isObject(section)) return [];
  return Object.entries<SchemaProperty<unknown>>(schema).flatMap(([key, { names: use }]) => {
    if (use === undefined) return [];
    const path = joinPath(at, key);
    const value = section[key];
    if (!Array.isArray(value)) return namedPath(path, value, use);
    // The rest of a command line are arguments.
    if (use === 'file of a program') return namedPath(joinPath(path, 0), value[0], use);
    return value.flatMap((item, index) => namedPath(joinPath(path, index), item, use));
  });
}

function namedPath(path: string, value: unknown, use: PathUse): readonly NamedPath[] {
  if (typeof value !== 'string' || value.trim() === '' || value === 'false') return [];
  // A program without a slash is found in the PATH, which may be another one for the daemon.
  if (use === 'file of a program' && !value.includes('/')) return [];
  if (use === 'socket' && /^https?:/.test(value)) return [];
  return [{ path, file: value.replace(/^unix:\/\//, ''), use }];
}

/**
 * Looks at the paths that a configuration names, for `check` commands. An error, when a daemon cannot work with what is there.
 * A missing folder or program is a warning, because `check` often runs on another host or as another user than the daemon.
 * TLS files are judged by `tls-files.ts`. Never rejects.
 */
export async function pathProblems(paths: readonly NamedPath[], files: ReadFiles): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  for (const { path, file, use } of paths) {
    const found = await lookAt[use](file, files);
    if (found !== undefined) problems.push({ path, ...found });
  }
  return problems;
}

const lookAt: Readonly<Record<PathUse, (file: string, files: ReadFiles) => Promise<Finding | undefined>>> = {
  'password file': lookAtPassword,
  async file(file, files) {
    return (await whyUnreadable(() => files.read(file), file)) ?? undefined;
  },
  async 'file or folder'(file, files) {
    const found = await whyUnreadable(() => files.facts(file), file);
    return found && warning(`${found.message}, so nothing is read there until it is`);
  },
  async 'file of a program'(file, files) {
    const found = await whyUnreadable(() => files.facts(file), file);
    if (found !== undefined) return warning(`${found.message}, so it cannot be run`);
    const { kind, mode } = await files.facts(file);
    if (kind === 'folder') return warning(`${file} is a folder, not a program`);
    return (mode & 0o111) === 0 ? warning(`${file} may not be run: chmod +x ${file}`) : undefined;
  },
  async 'file to write'(file, files) {
    if (await isFolder(file, files)) return { message: `${file} is a folder: name a file in it` };
    return (await missingFolder(file, files)) ?? forbiddenFolder(dirname(file), files);
  },
  async folder(folder, files) {
    const why = await whyNoFolder(folder, files);
    return why === undefined ? undefined : warning(`${why}, so the program cannot be started in it`);
  },
  async 'folder to write'(folder, files) {
    const existing = await nearestFolder(folder, files);
    const why = await whyNoFolder(existing, files);
    if (why !== undefined) return warning(existing === folder ? why : `${folder} cannot be made: ${why}`);
    return forbiddenFolder(existing, files);
  },
  /** Another program makes it, perhaps as another user: only a missing folder counts. */
  socket: (file, files) => missingFolder(file, files),
  'socket to make': (file, files) => lookAt['file to write'](file, files),
  /** Its absence has a meaning. */
  'flag file': async () => undefined,
  'PEM file': async () => undefined,
};

async function lookAtPassword(file: string, files: ReadFiles): Promise<Finding | undefined> {
  let text = '';
  const found = await whyUnreadable(async () => {
    text = await files.read(file);
  }, file);
  if (found !== undefined) return found;
  if (textWithoutNewline(text) === '') return { message: `${file} is empty` };
  const { mode } = await files.facts(file);
  if ((mode & 0o004) === 0) return undefined;
  return warning(`every user of this host can read the password in ${file}: chmod o-r ${file}`);
}

async function whyUnreadable(read: () => Promise<unknown>, file: string): Promise<Finding | undefined> {
  try {
    await read();
    return undefined;
  } catch (error) {
    return { message: `${file} ${unreadable(error as NodeJS.ErrnoException)}` };
  }
}

async function isFolder(path: string, files: ReadFiles): Promise<boolean> {
  const facts = await files.facts(path).catch(() => undefined);
  return facts?.kind === 'folder';
}

async function whyNoFolder(folder: string, files: ReadFiles): Promise<string | undefined> {
  try {
    const { kind } = await files.facts(folder);
    return kind === 'folder' ? undefined : `${folder} is not a folder`;
  } catch (error) {
    return `the folder ${folder} ${unreadable(error as NodeJS.ErrnoException)}`;
  }
}

async function missingFolder(file: string, files: ReadFiles): Promise<Finding | undefined> {
  const why = await whyNoFolder(dirname(file), files);
  return why === undefined ? undefined : warning(`${why}, so there can be no ${file}`);
}

async function forbiddenFolder(folder: string, files: ReadFiles): Promise<Finding | undefined> {
  if (await files.isWritableFolder(folder)) return undefined;
  return warning(
    `the user of this command (${process.geteuid?.() ?? 'unknown'}) may not write to the folder ${folder}`,
  );
}

/** The folder itself, or the nearest one above it that exists. */
async function nearestFolder(folder: string, files: ReadFiles): Promise<string> {
  const facts = await ifThere(files.facts(folder)).catch(() => null);
  return facts === undefined && dirname(folder) !== folder ? nearestFolder(dirname(folder), files) : folder;
}

function warning(message: string): Finding {
  return { message, severity: 'warning' };
}
