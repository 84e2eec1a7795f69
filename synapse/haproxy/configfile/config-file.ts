import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { Mutex } from '../../../common/async/mutex.ts';
import type { Log } from '../../../common/daemon/log.ts';
import type { HaproxyConfig } from '../options/config.ts';
import { type CheckResult, checkCandidate, type Finding } from './check.ts';
import { createStaging } from './staging.ts';

/** How a new text fared. */
export type WriteResult =
  | { readonly result: 'written'; readonly checked: boolean }
  | { readonly result: 'unchanged' }
  | { readonly result: 'refused'; readonly message: string; readonly findings: readonly Finding[] };

/** Keeps haproxy.cfg: never half-written, never replaced by something HAProxy would not load. */
export interface ConfigFile {
  /** The last part of its path. */
  readonly name: string;
  /** The text that is there; empty when there is none. */
  readonly text: string;
  /** @throws when the file is there and cannot be read */
  read(): Promise<string>;
  /** Has a text checked; changes nothing. @throws when the candidate cannot be written */
  check(text: string, signal: AbortSignal): Promise<CheckResult>;
  /**
   * Puts a new text in place: candidate, check, fsync, rename. A refused one changes nothing.
   * @throws when the file cannot be written
   */
  write(text: string, options: { readonly check: boolean }, signal: AbortSignal): Promise<WriteResult>;
  /** Puts the same text in place once more, for whoever watches the file and missed it. @throws when it cannot */
  rewrite(): Promise<void>;
  /** Keeps a text that HAProxy has loaded, for {@link ConfigFile.restore}. @throws when it cannot be written */
  keep(text: string): Promise<void>;
  /** Puts the last text that HAProxy is known to have loaded in place. False when there is none. @throws when it cannot */
  restore(): Promise<boolean>;
}

export function createConfigFile(config: HaproxyConfig & { config_file_path: string }, log: Log): ConfigFile {
  const path = config.config_file_path;
  /** There is one candidate: a write while HAProxy reloads and one that takes it back must not meet. */
  const mutex = new Mutex();
  const staging = createStaging(path, config.candidate_config_file_path, log);
  let current = '';
  let seen: string | undefined;
  let told = false;
  /** HAProxy has loaded what is kept. Before that, the file that was there first is the best we have. */
  let proven = false;

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
  const place = async (text: string): Promise<void> => {
    // Taken before the rename, which keeps it: whoever writes to the file right after it is not mistaken for us.
    const ours = await identityOf(staging.candidate);
    await staging.commit(text);
    current = text;
    seen = ours;
  };
  const verdictOf = async (signal: AbortSignal): Promise<CheckResult> => {
    const verdict = await checkCandidate(staging.candidate, config, signal);
    if (verdict.result === 'unchecked' && !told) {
      told = true;
      log.warn('new configurations are not checked before they are used', { reason: verdict.reason });
    }
    return verdict;
  };

  const file: ConfigFile = {
    name: basename(path),
    get text() {
      return current;
    },
    read,
    async check(text, signal) {
      try {
        await staging.stage(text);
        return await verdictOf(signal);
      } catch (error) {
        throw new Error(`cannot check ${path}`, { cause: error });
      } finally {
        await staging.discard();
      }
    },
    async write(text, { check }, signal) {
      // Somebody else may have written to it: what counts is what is there.
      if ((await identityOf(path)) !== seen) await read();
      if (text === current) return { result: 'unchanged' };
      try {
        await staging.stage(text);
        let checked = false;
        if (check) {
          const verdict = await verdictOf(signal);
          if (verdict.result === 'refused') return verdict;
          checked = verdict.result === 'accepted';
          if (current !== '' && !proven) await staging.keep(current);
        }
        await place(text);
        return { result: 'written', checked };
      } catch (error) {
        throw new Error(`cannot write ${path}`, { cause: error });
      }
    },
    async rewrite() {
      try {
        await staging.stage(current);
        await place(current);
      } catch (error) {
        throw new Error(`cannot write ${path}`, { cause: error });
      }
    },
    async keep(text) {
      proven = true;
      await staging.keep(text);
    },
    async restore() {
      try {
        const text = await staging.kept();
        if (text === undefined) return false;
        await staging.stage(text);
        await place(text);
        return true;
      } catch (error) {
        throw new Error(`cannot restore ${path}`, { cause: error });
      }
    },
  };
  return {
    name: file.name,
    get text() {
      return file.text;
    },
    read: file.read,
    check: (text, signal) => mutex.run(() => file.check(text, signal)),
    write: (text, options, signal) => mutex.run(() => file.write(text, options, signal)),
    rewrite: () => mutex.run(() => file.rewrite()),
    keep: (text) => mutex.run(() => file.keep(text)),
    restore: () => mutex.run(() => file.restore()),
  };
}

/** Changes when somebody replaces or edits the file; undefined when it is not there. */
async function identityOf(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found && `${found.ino} ${found.size} ${found.mtimeMs}`;
}
