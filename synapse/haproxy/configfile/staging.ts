import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';

import { basename, dirname, join } from 'node:path';
import type { Log } from '../../../common/daemon/log.ts';
import { writeFileAtomic } from '../../../common/file.ts';
import { thisHost } from '../../../common/host.ts';

/** Where a new file is put together before it takes the old one's place, and where the last good one is kept. */
export interface Staging {
  /** Path of the candidate. */
  readonly candidate: string;
  /** Writes the candidate, with the permissions of the file it is to replace. @throws when that fails; nothing of it stays */
  stage(text: string): Promise<void>;
  /** Puts the candidate in the file's place. @throws when that fails; the old file is untouched then */
  commit(text: string): Promise<void>;
  /** Removes a candidate that is not to be used. */
  discard(): Promise<void>;
  /** Keeps a text as the last good one. */
  keep(text: string): Promise<void>;
  /** The last good one; undefined when there is none. */
  kept(): Promise<string | undefined>;
}

/**
 * Stages in a folder of its own below the file's: whoever watches the file's folder must not see a candidate come and
 * go, and it is the same file system, so that the last step is a rename.
 */
export function createStaging(path: string, candidatePath: string | null, log: Log): Staging {
  const folder = join(dirname(path), '.synapse');
  const candidate = candidatePath ?? join(folder, basename(path));
  const lastGood = join(folder, `${basename(path)}.lkg`);
  let told = false;

  const discard = (): Promise<void> => rm(candidate, { force: true });
  const stage = async (text: string): Promise<void> => {
    if (dirname(candidate) === folder) await makeFolder(folder);
    await discard();
    try {
      const file = await open(candidate, 'wx', 0o644);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      const old = await stat(path).catch(() => undefined);
      if (old !== undefined) await chmod(candidate, old.mode & 0o7777);
    } catch (error) {
      await discard();
      throw error;
    }
  };

  return {
    candidate,
    stage,
    discard,
    async commit(text) {
      try {
        await rename(candidate, path);
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        // A file mounted into a container on its own can neither be replaced nor be on another file's file system.
        if (code !== 'EBUSY' && code !== 'EXDEV') {
          await discard();
          throw error;
        }
        if (!told)
          log.warn('the file cannot be replaced, only filled anew, which is not atomic: mount its folder', { path });
        told = true;
        await fill(path, text);
        await discard();
      }
      await thisHost.files.syncFolder(dirname(path));
    },
    async keep(text) {
      await makeFolder(folder);
      await writeFileAtomic(lastGood, text);
    },
    async kept() {
      try {
        return await readFile(lastGood, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        return undefined;
      }
    },
  };
}

/** Writes into the file that is there; when that fails, such as on a full disk, puts back what was in it. */
async function fill(path: string, text: string): Promise<void> {
  const before = await readFile(path, 'utf8');
  const put = async (content: string): Promise<void> => {
    const file = await open(path, 'r+');
    try {
      await file.writeFile(content);
      await file.truncate(Buffer.byteLength(content));
      await file.sync();
    } finally {
      await file.close();
    }
  };
  try {
    await put(text);
  } catch (error) {
    await put(before);
    throw error;
  }
}

/** Not recursive, which reports a folder that cannot be written as one that is missing. */
async function makeFolder(path: string): Promise<void> {
  await mkdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}
