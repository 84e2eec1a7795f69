import { clock } from '../../../common/async/clock.ts';
import { sleep } from '../../../common/async/sleep.ts';
import { type Log, reasonOf } from '../../../common/daemon/log.ts';
import type { Persist } from '../configfile/config-writer.ts';
import type { HaproxyEvent } from '../events.ts';
import { reloadDuration, reloadsTotal } from '../metrics.ts';
import { type HaproxyConfig, isReloadedByOthers } from '../options/config.ts';
import type { HaproxyProcess } from '../runtime/process.ts';
import {
  configurationReason,
  distinctReasons,
  kindOfReload,
  membershipReason,
  type ReloadReason,
  socketReason,
  textsOf,
} from '../spec/reload-reason.ts';
import { LoadRefused } from './master.ts';
import { createCrowd } from './old-workers.ts';
import { createReloadPacer } from './pacer.ts';
import { triggerReload } from './reload.ts';

/** Reloads HAProxy when there is a reason, one at a time, and proves what runs afterwards. */
export interface Reloading {
  /** Why a reload is due; empty when none is. */
  readonly reasons: readonly ReloadReason[];
  /** Milliseconds until one may begin; undefined when none is due. */
  wait(): number | undefined;
  /** Records what a reload would bring, for people. */
  restructured(reason: ReloadReason): void;
  /** The file has been read: HAProxy is taken to run it. */
  begin(): void;
  /** One reload, with one retry when nothing is known of the first. What fails to load is rolled back. Never rejects. */
  reload(signal: AbortSignal): Promise<void>;
  /** Watches the workers that finish their connections, until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** How many there are; null where there is no master to ask. */
  readonly oldWorkers: number | null;
  readonly lastError: string | null;
  readonly lastReloadAt: Date | undefined;
}

export interface ReloadingDeps {
  readonly log: Log;
  readonly emit: (event: HaproxyEvent) => void;
  readonly processes: readonly HaproxyProcess[];
  readonly persist: Persist;
  /** The text that is in the file. */
  readonly text: () => string;
  /** Puts the file in place once more. */
  readonly rewrite: () => Promise<void>;
}

/** How long a runtime API may be away until a reload is tried to bring it back; milliseconds. */
const unreachableTime = 5_000;
const pollInterval = 10;
/** So many different ones are told of; more say no more. */
const mostRestructurings = 100;
const tries = 2;
/** How long whoever watches the file may take, until it is put in place once more; milliseconds. */
const watchTime = 5_000;

export function createReloading(config: HaproxyConfig, deps: ReloadingDeps): Reloading {
  const { log, emit, processes, persist, text, rewrite } = deps;
  const watched = isReloadedByOthers(config);
  const pacer = createReloadPacer(config);
  const crowd = createCrowd(config, log);
  const started = clock.now();
  let restructurings: ReloadReason[] = [];
  /** What was still wrong right after a reload that worked: another one would not mend it. */
  let settled: string | undefined;
  let loadedText: string | undefined;
  let lastSynced = started;
  let failedAt: number | undefined;
  let lastError: string | null = null;
  let lastReloadAt: Date | undefined;

  const reasons = (): readonly ReloadReason[] => {
    // A reload brings what is in the file: without a file of ours there is nothing to hope for.
    if (!config.do_writes || persist.accepted === null) return [];
    if (processes.length === 0) {
      if (watched) return [];
      return loadedText === text()
        ? []
        : [membershipReason('the file changed, and the runtime API is not used (do_socket)')];
    }
    const found: ReloadReason[] = [];
    for (const haproxy of processes) {
      if (!haproxy.inSync) continue;
      lastSynced = clock.now();
      loadedText = undefined;
      if (haproxy.generation !== persist.accepted) {
        const foreign = `HAProxy runs ${haproxy.generation === undefined ? 'a configuration that is not ours' : 'another configuration'}`;
        found.push(...(restructurings.length > 0 ? restructurings : [configurationReason(foreign)]));
      } else {
        found.push(...[...haproxy.reloadReasons.values()].flat());
      }
    }
    if (processes.every((haproxy) => haproxy.inSync && haproxy.generation === persist.accepted)) persist.confirm();
    // A reload brings HAProxy what the file says; only a restart brings back a socket file that somebody removed.
    if (isUnreachable() && loadedText !== text()) found.push(socketReason('the runtime API cannot be reached'));
    return distinctReasons(found);
  };
  const isUnreachable = (): boolean =>
    processes.every((haproxy) => !haproxy.inSync) && clock.now() - lastSynced > unreachableTime;
  const workers = (): number => processes.reduce((sum, haproxy) => sum + haproxy.workersSeen, 0);
  const keyOf = (found: readonly ReloadReason[]): string =>
    JSON.stringify([textsOf(found), persist.accepted, processes.map((haproxy) => haproxy.workersSeen)]);

  /** HAProxy answers and has stayed with the configuration from before: it did not take the new one. */
  const hasStayed = (before: readonly number[]): boolean =>
    processes.some(
      (haproxy, index) =>
        haproxy.inSync && haproxy.workersSeen === before[index] && haproxy.generation !== persist.accepted,
    );

  /** One try: asks, then waits until every socket's worker is a new one that has loaded what the file has. */
  const attempt = async (again: boolean, signal: AbortSignal): Promise<void> => {
    // What somebody has set by hand since it was last read has to be known to be set again.
    await Promise.all(processes.map((haproxy) => haproxy.refresh()));
    const before = processes.map((haproxy) => (haproxy.inSync ? haproxy.workersSeen : -1));
    const loading = text();
    const blind = isUnreachable();
    if (!watched) await triggerReload(config, signal);
    else if (again) await rewrite();
    const time = watched && !again ? watchTime : config.reload_timeout;
    if (blind) {
      loadedText = loading;
      return;
    }
    for (const haproxy of processes) haproxy.release();
    const deadline = clock.now() + time;
    const isNew = (haproxy: HaproxyProcess, index: number): boolean =>
      haproxy.inSync && haproxy.workersSeen !== before[index] && haproxy.generation === persist.accepted;
    while (!processes.every(isNew)) {
      if (clock.now() > deadline) {
        const message = `the reload did not bring a worker with configuration ${persist.accepted} in ${time} ms`;
        throw hasStayed(before) ? new NotLoaded(message) : new Error(message);
      }
      await sleep(pollInterval, signal);
      signal.throwIfAborted();
    }
    loadedText = loading;
  };

  return {
    get reasons() {
      return reasons();
    },
    wait() {
      const found = reasons();
      if (found.length === 0) {
        if (!processes.some((haproxy) => haproxy.inSync)) return undefined;
        settled = undefined;
        restructurings = [];
        // What could not be loaded is wanted no more, or works now.
        if (persist.rejected === null && Object.keys(persist.quarantined).length === 0) lastError = null;
        return undefined;
      }
      if (!config.do_reloads) return undefined;
      const crowded = crowd.wait(keyOf(found) !== settled);
      // Another worker is another chance: what failed before may have been its predecessor's trouble.
      if (workers() !== failedAt) pacer.forget();
      return keyOf(found) === settled ? undefined : Math.max(crowded, pacer.wait());
    },
    begin() {
      if (processes.length === 0) loadedText = text();
    },
    restructured(reason) {
      // While HAProxy is away, the same happens again and again, and nobody reads thousands.
      if (restructurings.length < mostRestructurings && !restructurings.some(({ text }) => text === reason.text))
        restructurings.push(reason);
    },
    async reload(signal) {
      const why = reasons();
      const kind = kindOfReload(why);
      log.info('reloading HAProxy', { reasons: shorten(why) });
      emit({ type: 'reloading', reasons: shorten(why) });
      const start = clock.now();
      let failure: unknown;
      for (let count = 1; count <= tries; count++) {
        try {
          await attempt(count > 1, signal);
          const milliseconds = Math.round(clock.now() - start);
          log.info('HAProxy has reloaded', { milliseconds });
          reloadsTotal.inc({ reason: kind, result: 'done' });
          reloadDuration.observe(milliseconds / 1000);
          lastError = null;
          lastReloadAt = clock.date();
          if (processes.length === 0 && config.master_socket_path !== null) persist.confirm();
          restructurings = [];
          pacer.done(true, milliseconds);
          void crowd.refresh(signal);
          const still = reasons();
          settled = still.length > 0 ? keyOf(still) : undefined;
          if (settled !== undefined) log.warn('a reload did not mend everything', { reasons: shorten(still) });
          emit({ type: 'reloaded', reasons: textsOf(why), milliseconds });
          return;
        } catch (error) {
          if (signal.aborted) return;
          lastError = reasonOf(error);
          failure = error;
          // It has been read: the same file would fare the same again.
          if (error instanceof LoadRefused) break;
        }
      }
      reloadsTotal.inc({ reason: kind, result: 'failed' });
      log.error('reloading HAProxy failed', { reason: lastError, reasons: shorten(why) });
      if (failure instanceof LoadRefused || failure instanceof NotLoaded) {
        // What waits now is the quarantine: others need not wait with it.
        pacer.done(true);
        const output = failure instanceof LoadRefused ? failure.output : '';
        await persist
          .rollBack({ message: failure.message, output }, signal)
          .catch((error) => log.error('the last good configuration cannot be put back', { reason: reasonOf(error) }));
      } else {
        pacer.done(false);
        failedAt = workers();
      }
      emit({ type: 'reload-failed', reasons: textsOf(why), reason: lastError ?? '' });
    },
    run: (signal) => crowd.run(signal),
    get oldWorkers() {
      return crowd.count ?? null;
    },
    get lastError() {
      return lastError;
    },
    get lastReloadAt() {
      return lastReloadAt;
    },
  };
}

/** HAProxy was asked twice and still runs what it ran before. */
class NotLoaded extends Error {}

function shorten(reasons: readonly ReloadReason[]): readonly string[] {
  const texts = textsOf(reasons);
  return texts.length <= 10 ? texts : [...texts.slice(0, 10), `and ${texts.length - 10} more`];
}
