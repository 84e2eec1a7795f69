import { clock } from '../../../common/async/clock.ts';
import { sleep } from '../../../common/async/sleep.ts';
import type { Log } from '../../../common/daemon/log.ts';
import type { Host } from '../../../common/host.ts';
import type { ConfigFile } from '../configfile/config-file.ts';
import { type HaproxyConfig, isReloadedByOthers } from '../options/config.ts';
import type { HaproxyProcess } from '../runtime/process.ts';
import { triggerReload } from './reload.ts';

/** What {@link attemptReload} needs. */
export interface AttemptDeps {
  readonly config: HaproxyConfig;
  readonly log: Log;
  readonly host: Pick<Host, 'exec' | 'connectUnix'>;
  readonly processes: readonly Pick<
    HaproxyProcess,
    'path' | 'inSync' | 'generation' | 'workersSeen' | 'refresh' | 'release'
  >[];
  readonly file: Pick<ConfigFile, 'text' | 'rewrite'> | undefined;
  /** The generation that the file has. */
  readonly accepted: () => string | null;
  /** True when the runtime API has been away for long: it cannot prove what runs afterwards. */
  readonly isBlind: () => boolean;
  /** Called while new workers are awaited. */
  readonly onPoll: () => void;
}

/** A reload that takes longer is told of: nothing that waits for it is in HAProxy meanwhile. */
export const longReloadMs = 10_000;
/** What is said of it. */
export const longReload =
  `a reload has been under way for more than ${longReloadMs / 1000} s: HAProxy may wait for the DNS, ` +
  'which it asks for each host name in the configuration (extra_sections, global, defaults, listen)';

/** HAProxy was asked twice and still runs what it ran before. */
export class NotLoaded extends Error {}

/** How long the external watcher has to reload before the file is written again. */
const watcherTimeoutMs = 5_000;
const pollIntervalMs = 10;

/** How long a reload waits for HAProxy to be read: one reply may time out, and another connection may follow. */
const readTimeoutMs = 5_000;

/**
 * Asks for a reload, then waits until each process has a new worker that has loaded the accepted configuration.
 * @param again true for the second try
 * @returns the text that HAProxy was asked to load
 * @throws {NotLoaded} when a process answers and has kept its worker; an ordinary error when nothing is known
 */
export async function attemptReload(deps: AttemptDeps, again: boolean, signal: AbortSignal): Promise<string> {
  const { config, host, processes, file } = deps;
  const isWatched = isReloadedByOthers(config);
  // What an operator has set by hand since the last reading has to be known, to be set again.
  await Promise.all(processes.map((haproxy) => read(haproxy, deps.log, signal)));
  const before = processes.map(({ inSync, workersSeen }) => (inSync ? workersSeen : -1));
  const text = file?.text ?? '';
  const isBlind = deps.isBlind();
  if (!isWatched) await triggerReload({ config, host }, signal);
  else if (again) await file?.rewrite();
  if (!isBlind) {
    for (const haproxy of processes) haproxy.release();
    const timeoutMs = isWatched && !again ? watcherTimeoutMs : config.reload_timeout;
    await newWorkers(deps, { before, timeoutMs }, signal);
  }
  return text;
}

async function read(haproxy: Pick<HaproxyProcess, 'path' | 'refresh'>, log: Log, signal: AbortSignal): Promise<void> {
  const reason = await haproxy.refresh({ withinMs: readTimeoutMs }, signal);
  if (reason === null || signal.aborted) return;
  const message = 'HAProxy could not be read before its reload, which may undo what was just set by hand';
  log.warn(message, { socket: haproxy.path, reason });
}

async function newWorkers(
  { processes, accepted, onPoll }: AttemptDeps,
  { before, timeoutMs }: { readonly before: readonly number[]; readonly timeoutMs: number },
  signal: AbortSignal,
): Promise<void> {
  const deadline = clock.now() + timeoutMs;
  const isLoaded = (index: number): boolean => processes[index]?.generation === accepted();
  const isNew = (index: number): boolean => processes[index]?.workersSeen !== before[index];
  while (!processes.every(({ inSync }, index) => inSync && isNew(index) && isLoaded(index))) {
    if (clock.now() > deadline) {
      const message = `the reload did not bring a worker with configuration ${accepted()} in ${timeoutMs} ms`;
      const hasStayed = processes.some(({ inSync }, index) => inSync && !isNew(index) && !isLoaded(index));
      throw hasStayed ? new NotLoaded(message) : new Error(message);
    }
    await sleep(pollIntervalMs, signal);
    signal.throwIfAborted();
    onPoll();
  }
}
