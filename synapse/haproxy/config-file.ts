import { chmod, copyFile, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncFolder } from '../../common/file.ts';
import type { Log } from '../../common/log.ts';
import { checkCandidate } from './check.ts';
import type { HaproxyConfig } from './config.ts';

/** How a new text fared. */
export type WriteResult =
  | { readonly result: 'written'; readonly checked: boolean }
  | { readonly result: 'unchanged' }
  | { readonly result: 'refused'; readonly message: string };

/** Keeps haproxy.cfg: never half-written, never replaced by something HAProxy would not load. */
export interface ConfigFile {
  /** The text that is there; empty when there is none. */
  readonly text: string;
  /** @throws when the file is there and cannot be read */
  read(): Promise<string>;
  /**
   * Puts a new text in place: candidate, check, fsync, rename. A refused one changes nothing.
   * @throws when the file cannot be written
   */
  write(text: string, options: { readonly check: boolean }, signal: AbortSignal): Promise<WriteResult>;
}

export function createConfigFile(config: HaproxyConfig & { config_file_path: string }, log: Log): ConfigFile {
  const path = config.config_file_path;
  // In a folder of its own: whoever watches the file's folder must not see a candidate come and go.
  const staging = join(dirname(path), '.synapse');
  const candidate = config.candidate_config_file_path ?? join(staging, basename(path));
  const lastGood = join(staging, `${basename(path)}.lkg`);
  let current = '';
  let seen: string | undefined;
  let told = false;

  const replace = async (text: string): Promise<void> => {
    try {
      await rename(candidate, path);
    } catch (error) {
      // A single file mounted into a container cannot be replaced, only filled anew.
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
      if (!told) log.warn('the file is a mount point: writing it in place, which is not atomic', { path });
      told = true;
      await writeFile(path, text, { flush: true } as object);
      await rm(candidate, { force: true });
    }
    await syncFolder(dirname(path));
  };

  const read = async (): Promise<string> => {
    try {
      seen = await identityOf(path);
      current = await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw new Error(`cannot read ${path}`, { cause: error });
      current = '';
    }
    return current;
  };

  return {
    get text() {
      return current;
    },
    read,
    async write(text, { check }, signal) {
      // Somebody else may have written to it: what counts is what is there.
      if ((await identityOf(path)) !== seen) await read();
      if (text === current) return { result: 'unchanged' };
      try {
        if (dirname(candidate) === staging) await mkdir(staging, { recursive: true });
        await writeCandidate(candidate, text, path);
        let checked = false;
        if (check) {
          const verdict = await checkCandidate(candidate, config, signal);
          if (verdict.result === 'refused') return { result: 'refused', message: verdict.message };
          if (verdict.result === 'unchecked' && !told) {
            told = true;
            log.warn('new configurations are not checked before they are used', { reason: verdict.reason });
          }
          checked = verdict.result === 'accepted';
          if (current !== '') await keepLastGood(path, lastGood, staging);
        }
        await replace(text);
        current = text;
        seen = await identityOf(path);
        return { result: 'written', checked };
      } catch (error) {
        throw new Error(`cannot write ${path}`, { cause: error });
      }
    },
  };
}

/** Changes when somebody replaces or edits the file; undefined when it is not there. */
async function identityOf(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found && `${found.ino} ${found.size} ${found.mtimeMs}`;
}

/** A candidate has the permissions of the file it is to replace. */
async function writeCandidate(candidate: string, text: string, path: string): Promise<void> {
  await rm(candidate, { force: true });
  const file = await open(candidate, 'wx', 0o644);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  const old = await stat(path).catch(() => undefined);
  if (old !== undefined) await chmod(candidate, old.mode & 0o7777);
}

async function keepLastGood(path: string, lastGood: string, staging: string): Promise<void> {
  await mkdir(staging, { recursive: true });
  await copyFile(path, `${lastGood}.new`).then(
    () => rename(`${lastGood}.new`, lastGood),
    (error: NodeJS.ErrnoException) => {
      // Somebody removed the file: there is nothing to keep.
      if (error.code !== 'ENOENT') throw error;
    },
  );
}
