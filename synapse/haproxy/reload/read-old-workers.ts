import { clock } from '../../../common/async/clock.ts';
import type { Host } from '../../../common/host.ts';
import { parseServersState, type ServerRow } from '../runtime/parse.ts';
import { join, parseTraffic, type ServersReading, serverKey, type WorkerTraffic } from '../runtime/read-servers.ts';
import { type Load, parseLoads } from '../runtime/sessions.ts';
import { askWorker, type MasterOptions, type MasterWorkers, masterWorkers } from './master.ts';

/** A worker on its way out: it has loaded an earlier file, and takes no commands. */
export interface OldWorker extends ServersReading, WorkerTraffic {
  readonly pid: number;
}

/** What a master says about its workers. */
export interface WorkersReading {
  /** Process ids of the workers in charge that belong to this master. */
  readonly inCharge: readonly number[];
  readonly old: readonly OldWorker[];
  /** Old workers that could not be asked. */
  readonly unasked: number;
}

/** A reload is under way: what runs in a moment may have loaded an earlier file. */
export class ReloadUnderWay extends Error {
  override readonly name = 'ReloadUnderWay';
}

/** How long one worker has to answer. */
const answerMs = 2_000;
/** How long all of them have. */
const totalMs = 6_000;
/** More old workers than this are not asked. */
const mostAsked = 20;
/** The master reads a line of at most 16 KiB by default. */
const maxCommands = 200;

/** What {@link readOldWorkers} needs. */
export interface OldWorkersRead {
  readonly path: string;
  readonly host: Pick<Host, 'connectUnix'>;
  /** The workers in charge, as they were just read: process ids. */
  readonly inCharge: ReadonlySet<number>;
}

/**
 * Asks every worker that is on its way out about the servers with these names, and makes sure that no reload is under way.
 * @throws {ReloadUnderWay} when one is; an ordinary error when the master cannot be asked, as it is during a reload too
 */
export async function readOldWorkers(
  { path, host, inCharge }: OldWorkersRead,
  names: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<WorkersReading> {
  const options = { host, timeoutMs: answerMs };
  const before = await masterWorkers(path, options, signal);
  checkCurrent(before, inCharge);
  const pids = before.old.filter((pid) => !inCharge.has(pid));
  const deadline = clock.now() + totalMs;
  const old: OldWorker[] = [];
  const failed: number[] = [];
  for (const [index, pid] of pids.entries()) {
    const isOver = index >= mostAsked || clock.now() >= deadline || signal.aborted;
    const worker = isOver ? undefined : await readOldWorker(pid, names, { path, options }, signal);
    if (worker === undefined) failed.push(pid);
    else old.push(worker);
  }
  const after = failed.length === 0 ? before : await masterWorkers(path, options, signal);
  checkCurrent(after, inCharge);
  const left = new Set(after.old);
  const own = [...before.current, ...before.old].filter((pid) => inCharge.has(pid));
  return { inCharge: own, old, unasked: failed.filter((pid) => left.has(pid)).length };
}

/** @throws {ReloadUnderWay} when the master has another worker than those that were read */
function checkCurrent({ current, old, hasFailed }: MasterWorkers, inCharge: ReadonlySet<number>): void {
  if (current.some((pid) => !inCharge.has(pid))) throw new ReloadUnderWay('HAProxy is being reloaded');
  // After a reload that failed, the worker in charge is listed as an old one.
  if (current.length === 0 && !(hasFailed && old.some((pid) => inCharge.has(pid)))) {
    throw new ReloadUnderWay("HAProxy's master has no worker");
  }
}

/** Undefined when the worker cannot be asked. */
async function readOldWorker(
  pid: number,
  names: ReadonlySet<string>,
  { path, options }: { readonly path: string; readonly options: MasterOptions },
  signal: AbortSignal,
): Promise<OldWorker | undefined> {
  const say = (commands: readonly string[]): Promise<string> => askWorker(path, { pid, commands }, options, signal);
  try {
    const traffic = parseTraffic(fromHeader(await say(['show stat -1 3 -1']), '# pxname,'));
    const rows = new Map<string, ServerRow>();
    // In any backend: it may have had another name in the file that this worker has loaded.
    for (const row of parseServersState(await say(['show servers state']))) {
      if (names.has(row.name)) rows.set(serverKey(row), row);
    }
    if (rows.size === 0) return { pid, ...traffic, servers: new Map() };
    const commands = [...rows.values()].map(({ backendId, id }) => `show stat ${backendId} 4 ${id}`);
    const loads = new Map<string, Load>();
    for (let first = 0; first < commands.length; first += maxCommands) {
      const reply = await say(commands.slice(first, first + maxCommands));
      for (const [key, load] of parseLoads(fromHeader(reply, '# pxname,'))) loads.set(key, load);
    }
    return { pid, ...traffic, servers: join(rows, loads) };
  } catch (error) {
    if (signal.aborted) throw error;
    return undefined;
  }
}

/** @throws when the text has no such header */
function fromHeader(reply: string, header: string): string {
  const at = reply.indexOf(header);
  if (at < 0) throw new Error(`HAProxy answered ${JSON.stringify(reply.slice(0, 100))}`);
  return reply.slice(at);
}
