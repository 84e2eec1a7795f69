import { basename, dirname, join } from 'node:path';
import type { Log } from '../../../common/daemon/log.ts';
import { writeFileAtomic } from '../../../common/file.ts';
import type { Files } from '../../../common/host.ts';

/** What {@link Staging} needs. */
export interface StagingOptions {
  /** Path of the candidate; null: the folder `.synapse` beside the file. */
  readonly candidate: string | null;
  readonly files: Files;
  readonly log: Log;
}

/**
 * Where the text of a new file is put together before it replaces the old file, and where the last good text is kept.
 * That is a folder of its own below the file's folder: a program that watches the file's folder does not see candidates
 * come and go, and the file system is the same, so that a rename puts the candidate in place.
 */
export class Staging {
  /** Path of the candidate. */
  readonly candidate: string;
  readonly #path: string;
  readonly #folder: string;
  readonly #lastGood: string;
  readonly #files: Files;
  readonly #log: Log;
  #hasWarned = false;

  constructor(path: string, { candidate, files, log }: StagingOptions) {
    this.#path = path;
    this.#folder = join(dirname(path), '.synapse');
    this.#lastGood = join(this.#folder, `${basename(path)}.lkg`);
    this.candidate = candidate ?? join(this.#folder, basename(path));
    this.#files = files;
    this.#log = log;
  }

  /** Writes the candidate with the permissions of the file. @throws when that fails; no part of the candidate stays then */
  async stage(text: string): Promise<void> {
    if (dirname(this.candidate) === this.#folder) await this.#makeFolder();
    await this.discard();
    try {
      await this.#files.write(this.candidate, text, { how: 'new' });
      const old = await this.#files.facts(this.#path).catch(() => undefined);
      if (old !== undefined) await this.#files.changeMode(this.candidate, old.mode);
    } catch (error) {
      await this.discard();
      throw error;
    }
  }

  /** Replaces the file with the candidate. @throws when that fails; the file is unchanged then */
  async commit(text: string): Promise<void> {
    try {
      await this.#files.rename(this.candidate, this.#path);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      // A file that is mounted into a container on its own cannot be replaced, and is on another file system.
      if (code !== 'EBUSY' && code !== 'EXDEV') {
        await this.discard();
        throw error;
      }
      this.#warnOnce();
      await this.#overwrite(text);
      await this.discard();
    }
    await this.#files.syncFolder(dirname(this.#path));
  }

  /** Removes the candidate. */
  discard(): Promise<void> {
    return this.#files.remove(this.candidate);
  }

  /** Keeps a text as the last good one. */
  async keep(text: string): Promise<void> {
    await this.#makeFolder();
    await writeFileAtomic(this.#lastGood, text, { files: this.#files });
  }

  /** The last good text; undefined when there is none. */
  async kept(): Promise<string | undefined> {
    try {
      return await this.#files.read(this.#lastGood);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return undefined;
    }
  }

  /** Writes into the file that is there; when that fails, such as on a full disk, writes its old text back. */
  async #overwrite(text: string): Promise<void> {
    const before = await this.#files.read(this.#path);
    try {
      await this.#files.write(this.#path, text, { how: 'existing' });
    } catch (error) {
      await this.#files.write(this.#path, before, { how: 'existing' });
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

  /** Not recursive: a recursive mkdir reports a folder that is not writable as one that is missing. */
  async #makeFolder(): Promise<void> {
    await this.#files.makeFolder(this.#folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}
