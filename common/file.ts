import { basename, dirname, join } from 'node:path';
import { clock } from './async/clock.ts';
import { type Files, thisHost } from './host.ts';

/** How a file is replaced. */
export interface WriteOptions {
  /** Permissions of a new file, default 0644. */
  readonly mode?: number;
  /** Owner and group, by number; needs root. Default: those of this process. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  /** Where the temporary file is made; must be on the same file system. Default: beside the file, with a leading dot. */
  readonly staging?: string;
  /** Default: this machine's. */
  readonly files?: Files;
}

/**
 * Replaces a file so that a reader, or a crash at any moment, sees the old text or the new one and nothing between:
 * temporary file, fsync, rename, fsync of the folder.
 * @throws when the folder is missing, not writable or full; the old file is untouched then
 */
export async function writeFileAtomic(
  path: string,
  content: string | Buffer,
  options: WriteOptions = {},
): Promise<void> {
  const { mode = 0o644, owner, staging = dirname(path), files = thisHost.files } = options;
  const temporary = join(staging, `.${basename(path)}.${process.pid}.${randomHex()}`);
  try {
    await files.write(temporary, content, { how: 'new', mode, ...(owner !== undefined && { owner }) });
    await files.rename(temporary, path);
  } catch (error) {
    await files.remove(temporary);
    throw new Error(`cannot write ${path}`, { cause: error });
  }
  await files.syncFolder(dirname(path));
}

/**
 * Removes the temporary files that a killed process left beside the file. Only for the one process that writes the file,
 * at its start. Never rejects: a file that cannot be removed does no harm.
 */
export async function removeUnfinished(path: string, files: Files = thisHost.files): Promise<void> {
  const begin = `.${basename(path)}.`;
  const isOurs = (name: string): boolean =>
    name.startsWith(begin) && /^\d+\.[0-9a-f]{8}$/.test(name.slice(begin.length));
  try {
    const left = (await files.list(dirname(path))).filter(isOurs);
    await Promise.all(left.map((name) => files.remove(join(dirname(path), name))));
  } catch {
    // No such folder, or not ours to change.
  }
}

/** The text of a file; undefined when there is no such file. @throws when it cannot be read */
export function readIfThere(file: string, files: Files = thisHost.files): Promise<string | undefined> {
  return ifThere(files.read(file));
}

/** The result of a file operation; undefined when the file does not exist (ENOENT). */
export async function ifThere<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Eight hexadecimal digits. */
function randomHex(): string {
  return Math.floor(clock.random() * 2 ** 32)
    .toString(16)
    .padStart(8, '0');
}
