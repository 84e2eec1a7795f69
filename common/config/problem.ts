import type { Log } from '../daemon/log.ts';
import { masked } from './secrets.ts';

/** One error or warning in a configuration. */
export interface Problem {
  /** As users write it: `services.api.checks[0].uri`; empty for the file as a whole. */
  readonly path: string;
  /** The error, and what is allowed. */
  readonly message: string;
  /** The file; with `:line:column` for a syntax error. */
  readonly file?: string;
  /** A warning does not make the configuration invalid. Default: error. */
  readonly severity?: 'error' | 'warning';
}

/** True for a problem that makes the configuration invalid. */
export function isError({ severity }: Problem): boolean {
  return severity !== 'warning';
}

/** Where a section stands in the configuration, and the list that takes its problems. */
export interface SectionContext {
  /** As in {@link Problem}. */
  readonly path: string;
  readonly problems: Problem[];
}

/** A configuration is invalid. The message has one line per problem. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'));
    this.problems = problems;
  }
}

/** `FILE: services.api.port: must be …` */
export function formatProblem(problem: Problem): string {
  const { file, path, message, severity } = problem;
  const text = severity === 'warning' ? `warning: ${message}` : message;
  return [file, path, text].filter((part) => part !== undefined && part !== '').join(': ');
}

/** Logs the warnings among problems, each with its file. */
export function logWarnings(
  problems: readonly Problem[],
  { fileOf }: { readonly fileOf: (path: string) => string },
  log: Log,
): void {
  for (const { path, message, severity } of problems) {
    if (severity === 'warning') log.warn('configuration warning', { file: fileOf(path), path, reason: message });
  }
}

/** All errors of a configuration in one line, without the file. */
export function problemsInLine(problems: readonly Problem[]): string {
  return problems
    .filter(isError)
    .map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
    .join('; ');
}

/** The path of a key or list index below `path`: `services.api`, `checks[0]`. A key that has a secret in it is masked. */
export function joinPath(path: string, name: string | number): string {
  if (typeof name === 'number') return `${path}[${name}]`;
  // `password:a` without a space is a key, and not a password.
  const key = String(masked(name));
  if (!/^[A-Za-z0-9_-]+$/.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path === '' ? key : `${path}.${key}`;
}

/** Why a file or folder cannot be read, as the end of a sentence that begins with its name. */
export function unreadable(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'does not exist';
  if (error.code === 'EACCES') return 'may not be read (permission denied)';
  if (error.code === 'EISDIR') return 'is a folder, not a file';
  if (error.code === 'ENOTDIR') return 'is not a folder';
  return `cannot be read: ${error.message}`;
}
