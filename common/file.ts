import { randomBytes } from 'node:crypto';
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export interface WriteOptions {
  /** Permissions of a new file, default 0644. */
  readonly mode?: number;
  /** Whose it is, by number; needs root. Default: ours. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  /** Where the temporary file is made; must be on the same file system. Default: beside the file, with a leading dot. */
  readonly staging?: string;
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
  const { mode = 0o644, owner, staging = dirname(path) } = options;
  const temporary = join(staging, `.${basename(path)}.${process.pid}.${randomBytes(4).toString('hex')}`);
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      if (owner !== undefined) await file.chown(owner.uid, owner.gid);
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new Error(`cannot write ${path}`, { cause: error });
  }
  await syncFolder(dirname(path));
}

/**
 * Removes what processes left beside the file that were killed while they wrote it: for who starts and is the only one
 * that writes it. Never rejects: what cannot be removed is in nobody's way.
 */
export async function removeUnfinished(path: string): Promise<void> {
  const begin = `.${basename(path)}.`;
  const isOurs = (name: string): boolean =>
    name.startsWith(begin) && /^\d+\.[0-9a-f]{8}$/.test(name.slice(begin.length));
  try {
    const left = (await readdir(dirname(path))).filter(isOurs);
    await Promise.all(left.map((name) => rm(join(dirname(path), name), { force: true })));
  } catch {
    // No such folder, or not ours to change.
  }
}

/** Makes a rename in this folder survive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    // Some file systems (FUSE, some network ones) refuse fsync on a folder; the rename itself is atomic all the same.
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'EINVAL' && code !== 'ENOTSUP' && code !== 'EPERM') throw error;
  } finally {
    await folder.close();
  }
}

/** The text of a file; undefined when it is not there. @throws when it may not be read */
export function readIfThere(file: string): Promise<string | undefined> {
  return ifThere(readFile(file, 'utf8'));
}

/** What a call of `node:fs` finds; undefined for a file that is not there. */
export async function ifThere<T>(what: Promise<T>): Promise<T | undefined> {
  try {
    return await what;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
