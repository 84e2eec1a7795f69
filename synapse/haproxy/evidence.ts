import { reasonOf } from '../../common/daemon/log.ts';
import type { Host } from '../../common/host.ts';
import type { ApplyLoop } from './apply-loop.ts';
import type { ConfigFile } from './configfile/config-file.ts';
import { type FoundServers, findServers, type ServerNames } from './find-servers.ts';
import type { HaproxyConfig } from './options/config.ts';
import { type OldWorker, readOldWorkers, type WorkersReading } from './reload/read-old-workers.ts';
import type { Reloader } from './reload/reloader.ts';
import type { ServerRow } from './runtime/parse.ts';
import type { HaproxyProcess } from './runtime/process.ts';
import { type ServerAt, type ServerReading, type ServersReading, serverKey } from './runtime/read-servers.ts';
import { backendOf, type DesiredService } from './spec/desired-service.ts';
import type { ParsedConfig, ParsedServer } from './spec/parse-config.ts';
import { textsOf } from './spec/reload-reason.ts';
import { readTimeMs } from './spec/time.ts';

/** How a server takes part. `drained`: only clients that belong to it come; `closed`: it is in maintenance; `absent`: it is not there. */
export type Rotation = 'open' | 'drained' | 'closed' | 'absent';

/** A server in one worker of HAProxy. */
export interface ServerInWorker {
  /** `in charge`: takes new connections; `old`: on its way out, with the clients that it still has. */
  readonly role: 'in charge' | 'old';
  readonly pid: number;
  readonly rotation: Rotation;
  /** HAProxy sends it nothing, because of its check or for another reason. */
  readonly stopped: boolean;
  readonly weight: number;
  readonly connections: number;
  readonly queued: number;
  /** Clients of this worker may still send requests that are given to any server. True of a worker in charge. */
  readonly mayChoose: boolean;
}

/** The backend of a server that is only looked for in workers on their way out, where its backend may have any name. */
export const noBackend = '';

/** All that is known of one server of this host, read after it was asked for. */
export interface ServerProof {
  readonly backend: string;
  readonly name: string;
  /** In the file that HAProxy would load now; null when synapse does not write it. */
  readonly inFile: Rotation | null;
  readonly workers: readonly ServerInWorker[];
}

/** What was read of every HAProxy process of this host. */
export interface HaproxyProof {
  readonly servers: readonly ServerProof[];
  readonly processes: number;
  /** Workers on their way out. */
  readonly oldWorkers: number;
  /** Those of them that could not be asked, or that may be there where there is no master to ask. */
  readonly oldWorkersUnasked: number;
  /** Why this is no proof: a process cannot be read, or a reload is under way. Null when all was read. */
  readonly reason: string | null;
}

/** What {@link Evidence} reads. */
export interface EvidenceDeps {
  readonly config: HaproxyConfig;
  readonly host: Pick<Host, 'connectUnix'>;
  readonly services: ReadonlyMap<string, DesiredService>;
  readonly processes: readonly Pick<
    HaproxyProcess,
    'worker' | 'workersSeen' | 'running' | 'inSync' | 'reason' | 'refresh' | 'readServers' | 'oldWorkersWithin'
  >[];
  /** Undefined when files are not to be written. */
  readonly file: Pick<ConfigFile, 'text' | 'isAsKnown'> | undefined;
  /** The file that is there. */
  readonly present: () => ParsedConfig;
  readonly loop: Pick<ApplyLoop, 'reloadsBegun' | 'isReloading' | 'isDirty' | 'written'>;
  readonly reloader: Pick<Reloader, 'reasons'>;
}

/** How long an old worker stays at most (`hard-stop-after`), when the file does not say it. */
const defaultHardStopMs = 15 * 60_000;

/** How long to wait for a file that is being written. */
const fileWaitMs = 250;

/** What the file and every worker of every HAProxy process of this host say, read when it is asked for. */
export class Evidence {
  readonly #deps: EvidenceDeps;
  readonly #hardStopMs: number;

  constructor(deps: EvidenceDeps) {
    this.#deps = deps;
    this.#hardStopMs = hardStopMs(deps.config.global);
  }

  /** The servers of a backend that may stand for an instance; undefined when nothing is known of such a backend. */
  find(backend: string, names: ServerNames): FoundServers | undefined {
    const { services, processes, config } = this.#deps;
    const present = this.#deps.present();
    const isKnown =
      [...services.values()].some((desired) => backendOf(desired) === backend) ||
      present.backends.has(backend) ||
      processes.some(({ running }) => running.has(backend));
    const { defaults } = config;
    return isKnown ? findServers({ services, processes, present, defaults }, backend, names) : undefined;
  }

  /**
   * Has the file written soon, if it lacks something, and waits for that, for a moment at most: without it, what is read would say
   * that the file lacks it. Never rejects.
   */
  async fileWritten(signal: AbortSignal): Promise<void> {
    await this.#deps.loop.written(fileWaitMs, signal);
  }

  /** Why not everything is applied that the output was given; null when it is, in HAProxy and in the file. Never rejects. */
  async unapplied(signal: AbortSignal): Promise<string | null> {
    const { processes, loop, reloader } = this.#deps;
    for (const haproxy of processes) {
      const reason = await haproxy.refresh({ withinMs: 0 }, signal);
      if (reason !== null || !haproxy.inSync) return reason ?? haproxy.reason ?? 'not connected';
    }
    const [reload] = textsOf(reloader.reasons);
    if (reload !== undefined) return `a reload is due: ${reload}`;
    if (loop.isDirty) return 'haproxy.cfg lacks the newest changes';
    return loop.isReloading ? 'HAProxy is being reloaded' : null;
  }

  /**
   * Reads servers, and makes sure that no reload came between. In this order: the file, the workers in charge, the master. A
   * reload that the master does not know of yet begins after the file was read, and loads what was found in it, or something
   * newer. Never rejects.
   */
  async read(wanted: readonly ServerAt[], signal: AbortSignal): Promise<HaproxyProof> {
    const { processes, loop } = this.#deps;
    const before = this.#moment();
    const isSameMoment = (): boolean => {
      const now = this.#moment();
      return now.events === before.events && now.text === before.text;
    };
    try {
      if (loop.isReloading) throw new Error('HAProxy is being reloaded');
      const file = await this.#readFile();
      const inBackends = wanted.filter(({ backend }) => backend !== noBackend);
      const readings = await Promise.all(processes.map((haproxy) => haproxy.readServers(inBackends, signal)));
      const pids = processes.map(({ worker }) => worker?.pid ?? 0);
      const old = await this.#readOldWorkers(wanted, pids, signal);
      if (!isSameMoment()) throw new Error('HAProxy was reloaded, or the file was written, meanwhile');
      const servers = wanted.map((server) => ({
        ...server,
        inFile: file === undefined ? null : rotationInFile(file.backends.get(server.backend)?.get(server.name)),
        workers: [
          ...readings.map((reading, index) => inCharge(reading, server, pids[index] ?? 0)),
          ...old.old.map((worker) => inOldWorker(worker, server)),
        ],
      }));
      const oldWorkers = old.old.length + old.unasked;
      return { servers, processes: processes.length, oldWorkers, oldWorkersUnasked: old.unasked, reason: null };
    } catch (error) {
      const reason = reasonOf(error);
      return { servers: [], processes: processes.length, oldWorkers: 0, oldWorkersUnasked: 0, reason };
    }
  }

  /** Undefined when the file is not ours. @throws when it is not as it was written */
  async #readFile(): Promise<ParsedConfig | undefined> {
    const { file, present } = this.#deps;
    if (file === undefined) return undefined;
    if (!(await file.isAsKnown()))
      throw new Error('haproxy.cfg was not written yet, or another program has changed it');
    return present();
  }

  async #readOldWorkers(
    wanted: readonly ServerAt[],
    pids: readonly number[],
    signal: AbortSignal,
  ): Promise<Pick<WorkersReading, 'old' | 'unasked'>> {
    const { config, host, processes } = this.#deps;
    const { master_socket_path: path } = config;
    const names = new Set(wanted.map(({ name }) => name));
    // Without a runtime API, it is not known which worker is in charge.
    const found =
      path === null || processes.length === 0
        ? undefined
        : await readOldWorkers({ path, host, inCharge: new Set(pids) }, names, signal);
    let unasked = found?.unasked ?? 0;
    for (const [index, haproxy] of processes.entries()) {
      // One master: other processes have none that could be asked.
      if (!found?.inCharge.includes(pids[index] ?? 0)) unasked += haproxy.oldWorkersWithin(this.#hardStopMs);
    }
    return { old: found?.old ?? [], unasked };
  }

  /** Differs when a worker, the file or a reload is another one. */
  #moment(): { readonly events: string; readonly text: string | undefined } {
    const { processes, loop, file } = this.#deps;
    const workers = processes.map(({ workersSeen, worker }) => [workersSeen, worker?.pid]);
    return { events: JSON.stringify([loop.reloadsBegun, loop.isReloading, workers]), text: file?.text };
  }
}

function inCharge(reading: ServersReading, server: ServerAt, pid: number): ServerInWorker {
  return { ...inWorker(reading.servers.get(serverKey(server))), role: 'in charge', pid, mayChoose: true };
}

/** The worst of what an old worker has under this name, in any backend. */
function inOldWorker({ servers, pid, mayChoose }: OldWorker, { name }: ServerAt): ServerInWorker {
  const found = [...servers.values()].filter(({ row }) => row.name === name).map(inWorker);
  const order: readonly Rotation[] = ['open', 'drained', 'closed', 'absent'];
  const sum = (key: 'connections' | 'queued'): number => found.reduce((total, one) => total + one[key], 0);
  const worst = found.sort((a, b) => order.indexOf(a.rotation) - order.indexOf(b.rotation))[0] ?? inWorker(undefined);
  return { ...worst, connections: sum('connections'), queued: sum('queued'), role: 'old', pid, mayChoose };
}

function inWorker(
  reading: ServerReading | undefined,
): Pick<ServerInWorker, 'rotation' | 'stopped' | 'weight' | 'connections' | 'queued'> {
  if (reading === undefined) return { rotation: 'absent', stopped: true, weight: 0, connections: 0, queued: 0 };
  const { row, connections, queued } = reading;
  return { rotation: rotationOf(row), stopped: row.stopped, weight: row.weight, connections, queued };
}

/** A weight of 0 is what the file has for a drain: HAProxy balances nothing to the server, and persistence goes on. */
function rotationOf({ maintenance, drained, weight }: ServerRow): Rotation {
  if (maintenance) return 'closed';
  return drained || weight === 0 ? 'drained' : 'open';
}

function rotationInFile(server: ParsedServer | undefined): Rotation {
  if (server === undefined) return 'absent';
  if (server.disabled) return 'closed';
  return server.weight === 0 ? 'drained' : 'open';
}

function hardStopMs(global: readonly string[]): number {
  const text = global.map((line) => /^\s*hard-stop-after\s+(\S+)/.exec(line)?.[1]).findLast((value) => value);
  return (text === undefined ? undefined : readTimeMs(text)) ?? defaultHardStopMs;
}
