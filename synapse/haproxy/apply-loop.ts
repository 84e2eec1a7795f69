import { clock } from '../../common/async/clock.ts';
import { sleep } from '../../common/async/sleep.ts';
import { timeoutSignal } from '../../common/async/timeout.ts';
import { type Log, reasonOf } from '../../common/daemon/log.ts';
import type { Persist } from './configfile/config-writer.ts';
import { type LastWrite, writeTime } from './configfile/write-pace.ts';
import type { FileUse } from './options/config.ts';
import type { Reloading } from './reload/reloader.ts';
import type { HaproxyProcess } from './runtime/process.ts';

/** The slow half: the file, at most every few hundred milliseconds, and reloads when there is a reason. */
export interface Upkeep {
  /** Something changed that the file has to say; `urgent`: it cannot be done in another way. */
  touch(urgent?: boolean): void;
  /** Look again whether a reload is due. */
  wake(): void;
  run(signal: AbortSignal): Promise<void>;
  /** Writes what is pending. Never rejects. */
  flush(): Promise<void>;
  /** Why the file could not be written the last time; null when it could. */
  readonly failure: string | null;
}

export interface UpkeepDeps {
  readonly log: Log;
  readonly processes: readonly HaproxyProcess[];
  readonly persist: Persist;
  readonly reloading: Reloading;
  readonly use: FileUse;
}

/** How long the first file waits for HAProxy to say what runs. */
const firstReadTime = 2_000;
/** How often it is looked whether a reload is due when nothing says so. */
const lookInterval = 1_000;
const flushTime = 10_000;

/** Orders the slow effects: the file always comes before a reload, and a reload does not keep the file waiting. */
export function createUpkeep({ log, processes, persist, reloading, use }: UpkeepDeps): Upkeep {
  let dirtySince: number | undefined;
  let urgent = false;
  let last: LastWrite = { at: Number.NEGATIVE_INFINITY, took: 0 };
  let reload: Promise<void> | undefined;
  let failure: string | null = null;
  let ring: () => void = () => {};

  const wake = (): void => ring();
  const woken = (): Promise<void> =>
    new Promise((resolve) => {
      ring = resolve;
    });

  const write = async (signal: AbortSignal): Promise<void> => {
    dirtySince = undefined;
    urgent = false;
    const start = clock.now();
    try {
      await persist.write(signal);
      failure = null;
    } catch (error) {
      dirtySince ??= start;
      if (!signal.aborted) failure = reasonOf(error);
      throw error;
    }
    const at = clock.now();
    last = { at, took: at - start };
  };
  const writeWait = (): number => {
    if (dirtySince === undefined) return Number.POSITIVE_INFINITY;
    return writeTime(use, { since: dirtySince, urgent }, last) - clock.now();
  };

  return {
    touch(now = false) {
      dirtySince ??= clock.now();
      urgent ||= now;
      wake();
    },
    wake,
    async run(signal) {
      const start = clock.now();
      void reloading.run(signal);
      while (!signal.aborted) {
        const bell = woken();
        const reading =
          processes.some((haproxy) => !haproxy.inSync && haproxy.reason === null) &&
          clock.now() - start < firstReadTime;
        if (persist.due()) {
          dirtySince ??= clock.now();
          urgent = true;
        }
        const wait = writeWait();
        if (wait <= 0 && !reading) {
          await write(signal);
          continue;
        }
        const reloadWait = reload === undefined ? reloading.wait() : undefined;
        if (reloadWait === 0) {
          // Every reload of ours loads what is live, even if somebody else has changed the file meanwhile.
          await write(signal);
          reload = reloading.reload(signal).finally(() => {
            reload = undefined;
            wake();
          });
          continue;
        }
        const timer = new AbortController();
        const next = Math.min(Math.max(wait, 1), reloadWait ?? lookInterval, lookInterval);
        await Promise.race([bell, sleep(reading ? Math.min(next, 20) : next, AbortSignal.any([signal, timer.signal]))]);
        timer.abort();
      }
    },
    async flush() {
      await reload;
      if (dirtySince === undefined) return;
      try {
        await write(timeoutSignal(flushTime));
      } catch (error) {
        log.error('the last changes could not be written', { reason: reasonOf(error) });
      }
    },
    get failure() {
      return failure;
    },
  };
}
