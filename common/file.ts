import { basename, dirname, join } from 'node:path';
import { clock } from './async/clock.ts';
import { accessesLike, isMember, isSameAccess, lostReaders } from './file-access.ts';
import { type Access, type FileFacts, type Files, thisHost } from './host.ts';
import { type Destination, followPath } from './walk.ts';

/** How a file is replaced. */
export interface WriteOptions {
  /** Exact permissions. Default: those of the file that is replaced; of a new file 0644, less the umask. */
  readonly mode?: number;
  /** Owner and group, by number; another owner needs root. Default: those of the file that is replaced, see {@link accessesLike}. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  /** A file whose owner, group and permissions count instead of those of the file that is replaced, if it is there. */
  readonly like?: string;
  /** Where the temporary file is made; must be on the same file system. Default: beside the file, with a leading dot. */
  readonly staging?: string;
  /** Default: this machine's. */
  readonly files?: Files;
}

/** A new text that has not replaced the old one yet. */
export interface StagedFile {
  /** Where the new text is. */
  readonly path: string;
  /** The file that it will replace, without symbolic links. */
  readonly target: string;
  /** Replaces the file. @throws when that fails; the file is unchanged then, and the new text is still in its place */
  commit(): Promise<void>;
  /** Removes the new text. */
  discard(): Promise<void>;
}

/**
 * Replaces a file so that a reader, or a crash at any moment, sees the old text or the new one and nothing between:
 * temporary file, fsync, rename, fsync of the folder. The new file has the owner, the group and the permissions of the old
 * one from its first byte on. A symbolic link stays: the file that it leads to is replaced, or made.
 *
 * Node.js cannot read access control lists and extended attributes, so the new file has those that its folder gives to new files.
 * @throws when the folder is missing, not writable or full, or when the readers of the old file could not read the new
 *   one; the old file is untouched then
 */
export async function writeFileAtomic(
  path: string,
  content: string | Buffer,
  options: WriteOptions = {},
): Promise<void> {
  let staged: StagedFile | undefined;
  let target: string | undefined;
  try {
    const { staging } = options;
    const at = (destination: Destination): string => {
      target = destination.path;
      return join(staging ?? dirname(target), `.${basename(target)}.${process.pid}.${randomHex()}`);
    };
    staged = await stageFile(path, content, { ...options, at });
    await staged.commit();
  } catch (error) {
    await staged?.discard();
    throw new Error(
      `cannot write ${path}${target === undefined || target === path ? '' : `, which leads to ${target}`}`,
      {
        cause: error,
      },
    );
  }
}

/** The same in two steps, for a text that is checked before it is used. `at` says where the new text waits. */
export async function stageFile(
  path: string,
  content: string | Buffer,
  options: WriteOptions & { readonly at: (target: Destination) => string },
): Promise<StagedFile> {
  const { files = thisHost.files, at } = options;
  const target = await fileAt(path, files);
  const temporary = at(target);
  const write = (like: FileFacts | undefined): Promise<void> =>
    writeNew(temporary, content, { path: target.path, like, options, files });
  let like = await likeOf(target, options, files);
  // A crash may have left it.
  await files.remove(temporary);
  await write(like);
  return {
    path: temporary,
    target: target.path,
    async commit() {
      const now = await likeOf(await fileAt(path, files), options, files);
      if (!isSameAccess(like, now)) {
        // Owner, group or permissions of the old file have changed meanwhile: the new text gets the present ones.
        like = now;
        await files.remove(temporary);
        await write(now);
      }
      await files.rename(temporary, target.path);
      await files.syncFolder(dirname(target.path));
    },
    discard: () => files.remove(temporary),
  };
}

/** Where a file is or will be. @throws when something else is there, or a symbolic link leads nowhere */
export async function fileAt(path: string, files: Files): Promise<Destination> {
  let destination: Destination;
  try {
    destination = await followPath(path, files);
  } catch (error) {
    const link = await files.readLink(path).catch(() => undefined);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || link === undefined) throw error;
    throw new Error(`it is a symbolic link to ${link}, whose folder does not exist`, { cause: error });
  }
  if (destination.facts !== undefined && destination.facts.kind !== 'file') {
    const { path: found, facts } = destination;
    throw new Error(`${found} is not a file${facts.kind === 'other' ? '' : ` but a ${facts.kind}`}`);
  }
  return destination;
}

async function likeOf(target: Destination, { like }: WriteOptions, files: Files): Promise<FileFacts | undefined> {
  return like === undefined ? target.facts : ((await ifThere(files.facts(like))) ?? target.facts);
}

/** Writes the temporary file. On failure, no part of it stays. */
async function writeNew(
  temporary: string,
  content: string | Buffer,
  {
    path,
    like,
    options,
    files,
  }: {
    readonly path: string;
    readonly like: FileFacts | undefined;
    readonly options: WriteOptions;
    readonly files: Files;
  },
): Promise<void> {
  for (const access of await wantedAccess(like, options, files)) {
    try {
      await files.write(temporary, content, access === undefined ? { how: 'new' } : { how: 'new', access });
      return;
    } catch (error) {
      await files.remove(temporary);
      const { syscall, code } = error as NodeJS.ErrnoException;
      if (options.owner !== undefined || syscall !== 'fchown' || code !== 'EPERM') throw error;
    }
  }
  throw new Error(lostReaders(path, like as FileFacts));
}

/** The accesses to try, the best first. */
async function wantedAccess(
  like: FileFacts | undefined,
  { mode, owner }: Pick<WriteOptions, 'mode' | 'owner'>,
  files: Files,
): Promise<readonly (Access | undefined)[]> {
  if (owner !== undefined) return [{ mode: mode ?? like?.mode ?? 0o644, uid: owner.uid, gid: owner.gid }];
  if (mode !== undefined) return [{ mode, uid: undefined, gid: undefined }];
  if (like === undefined) return [undefined];
  const self = process.geteuid?.() ?? 0;
  const isOther = like.uid !== self && like.uid !== 0;
  return accessesLike(like, { self, isOwnerInGroup: isOther && (await isMember(like.uid, like.gid, files)) });
}

/**
 * Removes the temporary files that a killed process left beside the file. Only for the one process that writes the file,
 * at its start. Never rejects: a file that cannot be removed does no harm.
 */
export async function removeUnfinished(path: string, files: Files = thisHost.files): Promise<void> {
  try {
    const { path: target } = await fileAt(path, files);
    const begin = `.${basename(target)}.`;
    const isOurs = (name: string): boolean =>
      name.startsWith(begin) && /^\d+\.[0-9a-f]{8}$/.test(name.slice(begin.length));
    const left = (await files.list(dirname(target))).filter(isOurs);
    await Promise.all(left.map((name) => files.remove(join(dirname(target), name))));
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
