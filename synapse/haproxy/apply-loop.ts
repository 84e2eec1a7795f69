import { linkAbort } from '../../common/async/abort.ts';
import { clock } from '../../common/async/clock.ts';
import { sleep } from '../../common/async/sleep.ts';
import { timeoutSignal } from '../../common/async/timeout.ts';
import { type Log, reasonOf } from '../../common/daemon/log.ts';
import type { ConfigWriter } from './configfile/config-writer.ts';
import { type LastWrite, nextWriteAt } from './configfile/write-pace.ts';
import type { FileUse } from './options/config.ts';
import type { Reloader } from './reload/reloader.ts';
import { WriteBudget } from './reload/write-budget.ts';
import type { HaproxyProcess } from './runtime/process.ts';

/** What {@link ApplyLoop} needs. */
export interface ApplyLoopDeps {
  readonly log: Log;
  readonly processes: readonly Pick<HaproxyProcess, 'inSync' | 'reason'>[];
  readonly writer: Pick<ConfigWriter, 'observe' | 'write' | 'writtenAt'>;
  readonly reloader: Pick<Reloader, 'observe' | 'reload' | 'run'>;
  readonly use: FileUse;
  /** See {@link WriteBudget}. */
  readonly serviceReloadIntervalMs: number;
}

/** A change that the file lacks. */
export interface Change {
  /** Only the file can bring it about. */
  readonly urgent: boolean;
  /** The services of which it is; undefined: it is one of the configuration. */
  readonly services: readonly string[] | undefined;
  /** A server gets no new work from now on; default false. */
  readonly drains?: boolean;
}

/** How long the first file waits until HAProxy has said what runs. */
const firstReadMs = 2_000;
/** How often the loop checks whether that is so. */
const firstReadPollMs = 20;
/** How often the loop checks whether a reload is due when nothing wakes it. */
const intervalMs = 1_000;
/** The most writes before a reload: changes may come faster than they are written. */
const mostWrites = 3;
/** How long the last write may take at the end. */
const flushTimeoutMs = 10_000;

/**
 * The slow half of the output: writes the file, at most every few hundred milliseconds, and reloads when there is a
 * reason. The file always comes before a reload, and a reload does not delay the file.
 */
export class ApplyLoop {
  readonly #deps: ApplyLoopDeps;
  readonly #budget: WriteBudget;
  /** When the first change came that the file lacks; undefined when it lacks none. */
  #dirtySince: number | undefined;
  #isUrgent = false;
  /** Somebody waits for the file. */
  #isAwaited = false;
  #isWriting = false;
  #reloadsBegun = 0;
  #lastWrite: LastWrite = { at: Number.NEGATIVE_INFINITY, tookMs: 0 };
  #reload: Promise<void> | undefined;
  #reason: string | null = null;
  #wake: () => void = () => {};
  /** How many writes have ended. */
  #writes = 0;
  /** What is called when a write has ended: see {@link written}. */
  readonly #waiting = new Set<() => void>();

  constructor(deps: ApplyLoopDeps) {
    this.#deps = deps;
    this.#budget = new WriteBudget(deps.use, deps.serviceReloadIntervalMs, deps.log);
  }

  /** Why the last write of the file failed; null when it worked. */
  get reason(): string | null {
    return this.#reason;
  }

  /** How many reloads have begun. */
  get reloadsBegun(): number {
    return this.#reloadsBegun;
  }

  /** A reload of ours is under way. */
  get isReloading(): boolean {
    return this.#reload !== undefined;
  }

  /** The file lacks something, or is being written. */
  get isDirty(): boolean {
    return this.#dirtySince !== undefined || this.#isWriting;
  }

  /** Somebody waits for the file: what it lacks is written as soon as a write may follow the last one. */
  hurry(): void {
    if (this.#dirtySince === undefined || this.#isAwaited) return;
    this.#isAwaited = true;
    this.wake();
  }

  /** Services over their budget of reloads, which the file waits for → milliseconds until it is written. */
  get waiting(): ReadonlyMap<string, number> {
    return this.#budget.waiting;
  }

  /** Waits until the file has everything that there is now, or could not be written, or `limitMs` are over. Never rejects. */
  async written(limitMs: number, signal: AbortSignal): Promise<void> {
    this.hurry();
    if (!this.isDirty) return;
    const last = this.#writes + (this.#isWriting ? 1 : 0) + (this.#dirtySince === undefined ? 0 : 1);
    const written = linkAbort(signal);
    const check = (): void => {
      if (this.#writes >= last || this.#reason !== null) written.abort();
      else this.hurry();
    };
    this.#waiting.add(check);
    await sleep(limitMs, written.signal);
    this.#waiting.delete(check);
    written.release();
  }

  /** The file lacks a change; by default one that is live already. */
  touch({ urgent, services, drains = false }: Change = { urgent: false, services: undefined }): void {
    this.#dirtySince ??= clock.now();
    this.#isUrgent ||= urgent;
    // A command that drains waits until the file says so too. Where each write costs a reload, only its question hurries.
    this.#isAwaited ||= drains && this.#deps.use === 'merged';
    this.#budget.note(services, urgent);
    this.wake();
  }

  /** Checks again whether a reload is due. */
  wake(): void {
    this.#wake();
  }

  /** Writes and reloads until `signal` aborts. @throws when the file cannot be written */
  async run(signal: AbortSignal): Promise<void> {
    const readUntil = clock.now() + firstReadMs;
    void this.#deps.reloader.run(signal);
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const isReading = clock.now() < readUntil && this.#isReading();
      if (this.#deps.writer.observe()) {
        this.#dirtySince ??= clock.now();
        this.#isUrgent = true;
        this.#budget.note(undefined, true);
      }
      const writeInMs = this.#writeInMs();
      if (writeInMs <= 0 && !isReading) {
        await this.#write(signal);
        continue;
      }
      const reloadInMs = this.#reload === undefined ? this.#deps.reloader.observe() : undefined;
      if (reloadInMs === 0) {
        await this.#beginReload(signal);
        continue;
      }
      const nextMs = Math.min(Math.max(writeInMs, 1), reloadInMs ?? intervalMs, intervalMs);
      await sleepOr(woken, isReading ? Math.min(nextMs, firstReadPollMs) : nextMs, signal);
    }
  }

  /** Writes what is pending. Never rejects. */
  async flush(): Promise<void> {
    await this.#reload;
    if (this.#dirtySince === undefined) return;
    try {
      await this.#write(timeoutSignal(flushTimeoutMs));
    } catch (error) {
      this.#deps.log.error('the last changes could not be written', { reason: reasonOf(error) });
    }
  }

  /** A HAProxy may still say what it runs. */
  #isReading(): boolean {
    return this.#deps.processes.some(({ inSync, reason }) => !inSync && reason === null);
  }

  #writeInMs(): number {
    if (this.#dirtySince === undefined) return Number.POSITIVE_INFINITY;
    const { use } = this.#deps;
    const heldMs = this.#budget.heldMs();
    const pending = { since: this.#dirtySince, urgent: this.#isUrgent && heldMs === 0, awaited: this.#isAwaited };
    const waitMs = nextWriteAt(use, pending, this.#lastWrite) - clock.now();
    return use === 'only' ? Math.max(waitMs, heldMs) : waitMs;
  }

  async #write(signal: AbortSignal): Promise<void> {
    this.#dirtySince = undefined;
    this.#isUrgent = false;
    this.#isAwaited = false;
    const start = clock.now();
    this.#isWriting = true;
    const { writer } = this.#deps;
    const { writtenAt } = writer;
    const subjects = this.#budget.begin();
    try {
      await writer.write(signal);
      if (writer.writtenAt !== writtenAt) this.#budget.spend(subjects);
      this.#reason = null;
    } catch (error) {
      this.#budget.putBack(subjects);
      this.#dirtySince ??= start;
      if (!signal.aborted) this.#reason = reasonOf(error);
      throw error;
    } finally {
      this.#isWriting = false;
      this.#writes += 1;
      for (const check of [...this.#waiting]) check();
    }
    const at = clock.now();
    this.#lastWrite = { at, tookMs: at - start };
  }

  async #beginReload(signal: AbortSignal): Promise<void> {
    // A reload of ours loads what is wanted now, even if another program has changed the file meanwhile. What came during the
    // write has not been checked: with options that HAProxy refuses, it is no reason for a reload.
    // Where a program watches the file, each write is a reload, and it may miss the second one.
    const most = this.#deps.use === 'watched' ? 1 : mostWrites;
    for (let round = 0; round < most && (round === 0 || this.#dirtySince !== undefined); round++) {
      await this.#write(signal);
    }
    // HAProxy may have come back meanwhile: the reason for the reload is gone.
    if (this.#deps.reloader.observe() !== 0) return;
    this.#reloadsBegun += 1;
    this.#reload = this.#deps.reloader.reload(signal).finally(() => {
      this.#reload = undefined;
      this.wake();
    });
  }
}

/** Waits until `woken` resolves, `delayMs` have passed or `signal` aborts. */
async function sleepOr(woken: Promise<void>, delayMs: number, signal: AbortSignal): Promise<void> {
  const timer = linkAbort(signal);
  try {
    await Promise.race([woken, sleep(delayMs, timer.signal)]);
  } finally {
    timer.abort();
    timer.release();
  }
}
