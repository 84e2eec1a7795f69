import { basename } from 'node:path';
import { Mutex } from '../../../common/async/mutex.ts';
import type { Log } from '../../../common/daemon/log.ts';
import type { Files, Host } from '../../../common/host.ts';
import type { HaproxyConfig } from '../options/config.ts';
import { type CheckResult, checkCandidate, type Finding } from './check.ts';
import { Staging } from './staging.ts';

/** What became of a new text. */
export type WriteResult =
  /** It is in the file. `checked`: a check accepted it. */
  | { readonly result: 'written'; readonly checked: boolean }
  /** It was in the file already. */
  | { readonly result: 'unchanged' }
  /** The check refused it; the file is unchanged. */
  | { readonly result: 'refused'; readonly message: string; readonly findings: readonly Finding[] };

/** What {@link ConfigFile} needs. */
export interface ConfigFileDeps {
  readonly log: Log;
  readonly host: Pick<Host, 'files' | 'exec'>;
}

/** haproxy.cfg: never half-written, never replaced by a text that the check refuses. */
export class ConfigFile {
  /** The last part of its path. */
  readonly name: string;
  readonly #path: string;
  readonly #config: HaproxyConfig;
  readonly #log: Log;
  readonly #host: Pick<Host, 'files' | 'exec'>;
  /** There is one candidate: a write during a reload and the roll-back of that reload take turns. */
  readonly #mutex = new Mutex();
  readonly #staging: Staging;
  #text = '';
  /** {@link identityOf} the file when it was last read or written. */
  #identity: string | undefined;
  #hasWarned = false;
  /** HAProxy has loaded the text that is kept. Before that, the file that synapse found at its start is the best one. */
  #isProven = false;

  constructor(config: HaproxyConfig & { readonly config_file_path: string }, { log, host }: ConfigFileDeps) {
    this.#path = config.config_file_path;
    this.name = basename(this.#path);
    this.#config = config;
    this.#log = log;
    this.#host = host;
    this.#staging = new Staging(this.#path, { candidate: config.candidate_config_file_path, files: host.files, log });
  }

  /** The text that is there; empty when there is no file. */
  get text(): string {
    return this.#text;
  }

  /** Reads the file. @throws when it is there and cannot be read */
  async read(): Promise<string> {
    try {
      this.#identity = await identityOf(this.#path, this.#host.files);
      this.#text = await this.#host.files.read(this.#path);
    } catch (error) {
      const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      if (!isMissing) throw new Error(`cannot read ${this.#path}`, { cause: error });
      this.#text = '';
    }
    return this.#text;
  }

  /** True when the file on disk is the one whose text is known, and no other program has changed it. Never rejects. */
  async isAsKnown(): Promise<boolean> {
    const before = this.#identity;
    const now = await identityOf(this.#path, this.#host.files);
    return now !== undefined && now === before && this.#identity === before;
  }

  /** Checks a text and changes nothing. @throws when the candidate cannot be written, or the check comes to no result */
  check(text: string, signal: AbortSignal): Promise<CheckResult> {
    return this.#exclusively('check', async () => {
      try {
        await this.#staging.stage(text);
        return await this.#checkStaged(signal);
      } finally {
        await this.#staging.discard();
      }
    });
  }

  /**
   * Replaces the file: candidate, check, fsync, rename. A text that the check refuses changes nothing.
   * @throws when the file cannot be written, or the check comes to no result
   */
  write(text: string, { check }: { readonly check: boolean }, signal: AbortSignal): Promise<WriteResult> {
    return this.#mutex.run(async () => {
      // Another program may have written to it: the text that is there counts.
      if ((await identityOf(this.#path, this.#host.files)) !== this.#identity) await this.read();
      if (text === this.#text) return { result: 'unchanged' };
      return await this.#explain('write', () => this.#replace(text, check, signal));
    });
  }

  /** Replaces the file with the same text, for a program that watches the file and missed a change. @throws when it cannot */
  rewrite(): Promise<void> {
    return this.#exclusively('write', () => this.#place(this.#text));
  }

  /** Keeps a text that HAProxy has loaded, for {@link ConfigFile.restore}. @throws when it cannot be written */
  keep(text: string): Promise<void> {
    return this.#mutex.run(async () => {
      this.#isProven = true;
      await this.#staging.keep(text);
    });
  }

  /** Puts back the last text that HAProxy has loaded. @returns false when there is none @throws when it cannot be written */
  restore(): Promise<boolean> {
    return this.#exclusively('restore', async () => {
      const text = await this.#staging.kept();
      if (text === undefined) return false;
      await this.#place(text);
      return true;
    });
  }

  async #replace(text: string, check: boolean, signal: AbortSignal): Promise<WriteResult> {
    await this.#staging.stage(text);
    let checked = false;
    if (check) {
      const result = await this.#checkStaged(signal);
      if (result.result === 'refused') return result;
      checked = result.result === 'accepted';
      if (this.#text !== '' && !this.#isProven) await this.#staging.keep(this.#text);
    }
    await this.#commit(text);
    return { result: 'written', checked };
  }

  async #place(text: string): Promise<void> {
    await this.#staging.stage(text);
    await this.#commit(text);
  }

  async #commit(text: string): Promise<void> {
    // Taken before the rename, which keeps it: a write of another program right after the rename is noticed.
    const identity = await identityOf(this.#staging.candidate, this.#host.files);
    await this.#staging.commit(text);
    this.#text = text;
    this.#identity = identity;
  }

  /** @throws when the candidate was not the same all the time: then the verdict says nothing about the text */
  async #checkStaged(signal: AbortSignal): Promise<CheckResult> {
    const { candidate } = this.#staging;
    const before = await identityOf(candidate, this.#host.files);
    const result = await checkCandidate(candidate, { config: this.#config, host: this.#host }, signal);
    if (before === undefined || (await identityOf(candidate, this.#host.files)) !== before) {
      throw new Error(`another program changed or removed ${candidate}: a second synapse may write the same file`);
    }
    if (result.result === 'unchecked' && !this.#hasWarned) {
      this.#hasWarned = true;
      this.#log.warn('new configurations are not checked before they are used', { reason: result.reason });
    }
    return result;
  }

  #exclusively<Result>(verb: string, task: () => Promise<Result>): Promise<Result> {
    return this.#mutex.run(() => this.#explain(verb, task));
  }

  async #explain<Result>(verb: string, task: () => Promise<Result>): Promise<Result> {
    try {
      return await task();
    } catch (error) {
      throw new Error(`cannot ${verb} ${this.#path}`, { cause: error });
    }
  }
}

/** Changes when a program replaces or edits the file; undefined when there is no file. */
async function identityOf(path: string, files: Files): Promise<string | undefined> {
  const facts = await files.facts(path).catch(() => undefined);
  return facts?.identity;
}
