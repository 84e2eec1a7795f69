import { basename, dirname, join } from 'node:path';
import type { Log } from '../../../common/daemon/log.ts';
import { fileAt, ifThere, readIfThere, type StagedFile, stageFile, writeFileAtomic } from '../../../common/file.ts';
import type { Files } from '../../../common/host.ts';
import { whyUntrusted } from '../../../common/trust.ts';

/** What {@link Staging} needs. */
export interface StagingOptions {
  /** Path of the candidate; null: in the folder `.synapse` beside the file. */
  readonly candidate: string | null;
  readonly files: Files;
  readonly log: Log;
}

/**
 * Where the text of a new file is put together before it replaces the old file, and where the last good text is kept.
 * That is a private folder of its own below the file's folder: a program that watches the file's folder does not see
 * candidates come and go, and the file system is the same, so that a rename puts the candidate in place.
 */
export class Staging {
  readonly #path: string;
  readonly #candidate: string | null;
  readonly #files: Files;
  readonly #log: Log;
  #staged: StagedFile | undefined;
  #hasWarned = false;

  constructor(path: string, { candidate, files, log }: StagingOptions) {
    this.#path = path;
    this.#candidate = candidate;
    this.#files = files;
    this.#log = log;
  }

  /** Path of the candidate. @throws when there is none */
  get candidate(): string {
    if (this.#staged === undefined) throw new Error(`there is no candidate for ${this.#path}`);
    return this.#staged.path;
  }

  /**
   * Writes the candidate, with the owner, group and permissions of the file.
   * @throws when that fails; no part of the candidate stays then
   */
  async stage(text: string): Promise<void> {
    await this.discard();
    this.#staged = await this.#stageAt(text, this.#candidate);
  }

  /** Replaces the file with the candidate. @throws when that fails; the file is unchanged then */
  async commit(text: string): Promise<void> {
    try {
      await this.#place(text);
    } finally {
      await this.discard();
    }
  }

  /** Removes the candidate. */
  async discard(): Promise<void> {
    await this.#staged?.discard();
    this.#staged = undefined;
  }

  /** Keeps a text as the last good one. */
  async keep(text: string): Promise<void> {
    const folder = await makePrivateFolder(this.#path, this.#files);
    await writeFileAtomic(join(folder, this.#lastGoodName), text, { like: this.#path, files: this.#files });
  }

  /** The last good text; undefined when there is none. */
  async kept(): Promise<string | undefined> {
    return readIfThere(join(await privateFolderOf(this.#path, this.#files), this.#lastGoodName), this.#files);
  }

  get #lastGoodName(): string {
    return `${basename(this.#path)}.lkg`;
  }

  async #place(text: string): Promise<void> {
    const staged = this.#staged;
    if (staged === undefined) throw new Error(`there is no candidate for ${this.#path}`);
    const renamed = await isReplaced(staged.commit());
    if (renamed) return;
    if (this.#candidate !== null) {
      // The user's candidate is on another file system. One beside the file may be on the right one.
      const beside = await this.#stageAt(text, null);
      try {
        if (await isReplaced(beside.commit())) return;
      } finally {
        await beside.discard();
      }
    }
    this.#warnOnce();
    await this.#overwrite(staged.target, text);
    await this.#files.syncFolder(dirname(staged.target));
  }

  async #stageAt(text: string, candidate: string | null): Promise<StagedFile> {
    const at = candidate ?? join(await makePrivateFolder(this.#path, this.#files), basename(this.#path));
    return stageFile(this.#path, text, { at: () => at, files: this.#files });
  }

  /** Writes into the file that is there; when that fails, such as on a full disk, writes its old text back. */
  async #overwrite(target: string, text: string): Promise<void> {
    const before = await this.#files.read(target);
    try {
      await this.#files.write(target, text, { how: 'existing' });
    } catch (error) {
      await this.#files.write(target, before, { how: 'existing' });
      throw error;
    }
  }

  #warnOnce(): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#log.warn('the file cannot be replaced and is overwritten, which is not atomic: mount its folder instead', {
      path: this.#path,
    });
  }
}

/** `.synapse` beside the file that a symbolic link leads to. */
async function privateFolderOf(path: string, files: Files): Promise<string> {
  return join(dirname((await fileAt(path, files)).path), '.synapse');
}

/**
 * Makes the folder `.synapse` beside a file, which only this process's user can enter, or makes it so when the file has something
 * to hide. @throws when it cannot be made, or another user may have made it
 */
export async function makePrivateFolder(path: string, files: Files): Promise<string> {
  const folder = await privateFolderOf(path, files);
  // Not recursive: a recursive mkdir reports a folder that is not writable as one that is missing.
  await files.makeFolder(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const why = await whyUntrusted(folder, files);
  if (why !== null) throw new Error(`${folder} is not used, because of another user: ${why}; remove it`);
  const { kind, mode } = await files.facts(folder);
  if (kind !== 'folder') throw new Error(`${folder} is not a folder; remove it`);
  const file = await ifThere(files.facts(path));
  const hides = file !== undefined && (file.mode & 0o004) === 0;
  if (!hides || (mode & 0o077) === 0) return folder;
  try {
    await files.changeAccess(folder, { mode: 0o700, uid: undefined, gid: undefined });
  } catch (error) {
    throw new Error(`${folder} can be read by others, and its mode cannot be changed to 0700; remove it`, {
      cause: error,
    });
  }
  return folder;
}

/** False when the file cannot be replaced where it is: it is mounted on its own, or is on another file system. */
async function isReplaced(commit: Promise<void>): Promise<boolean> {
  try {
    await commit;
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EBUSY' && code !== 'EXDEV') throw error;
    return false;
  }
}
