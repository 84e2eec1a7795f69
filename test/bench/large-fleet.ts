import { setMaxListeners } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { aborted } from '../../common/async/abort.ts';
import { sleep } from '../../common/async/sleep.ts';
import { silentLog } from '../../common/daemon/log.ts';
import { createEtcdClient, type EtcdClient } from '../../common/etcd/client/client.ts';
import { createReflector } from '../../common/etcd/watch/reflector.ts';
import { type Answer, askFleet } from '../../common/fleet/ask.ts';
import { fleetKeys, newRequestId, proxyKey } from '../../common/fleet/keys.ts';
import { formatProxy } from '../../common/fleet/records.ts';
import { thisHost } from '../../common/host.ts';
import type { LocalCluster } from '../../etcd-cluster/members/local-cluster.ts';
import { readSynapseConfig } from '../../synapse/config/config.ts';
import type { Rotation } from '../../synapse/haproxy/evidence.ts';
import type { RunningHaproxy } from '../../synapse/haproxy/haproxy.ts';
import type { HaproxyStatus } from '../../synapse/haproxy/status.ts';
import type { Snapshot } from '../../synapse/output.ts';
import { Synapse } from '../../synapse/synapse.ts';
import { grantLease, put } from '../support/etcd/etcd.ts';
import { eventually } from '../support/eventually.ts';
import { apiFolder, apiKey, fleetPath } from '../support/fleet/fleet-host.ts';
import { cpuMilliseconds } from './process-cost.ts';

/** What a large fleet needs. */
export interface LargeFleetOptions {
  readonly folder: string;
  readonly cluster: LocalCluster;
  readonly proxies: number;
  readonly rounds: number;
}

/** What a change, and a question about it, cost a large fleet. Times in milliseconds, one for each round. */
export interface LargeFleetFigures {
  /** From the put of a drain until the last of as many bare watchers has seen it. */
  readonly fanOut: readonly number[];
  /** Processor time of all members of etcd for one such change. */
  readonly fanOutCpu: readonly number[];
  /** From the end of the put until the asker knows that all have acknowledged. */
  readonly asked: readonly number[];
  /** Revisions of etcd that one question took: the request, the acknowledgements, and the removal of both. */
  readonly writes: readonly number[];
  /** Processor time of all members of etcd for one question, until nothing is left of it. */
  readonly cpu: readonly number[];
  /** The same members at rest, with this fleet, percent of one core. */
  readonly restCpuPercent: number;
}

/** The instance that is drained. */
const port = 3000;
/** Synapses start within this time, as those of real hosts do not start at one instant. */
const startMs = 3_000;
const restSeconds = 5;
/** What reading a real HAProxy takes. */
const readingMs = 3;

/** Runs real synapses in this process, each with its own connections to etcd. Only their HAProxies are stand-ins. */
export async function measureLargeFleet(options: LargeFleetOptions): Promise<LargeFleetFigures> {
  const { cluster, proxies, rounds } = options;
  const end = new AbortController();
  setMaxListeners(0, end.signal);
  const client = createEtcdClient({ hosts: cluster.urls }, { log: silentLog }, end.signal);
  const cpu = async (): Promise<number> => {
    const each = await Promise.all(cluster.members.map(({ pid }) => cpuMilliseconds(Number(pid))));
    return each.reduce((sum, one) => sum + one, 0);
  };
  const announce = (state: 'up' | 'drain'): Promise<number> =>
    put(client, apiKey(port), JSON.stringify({ host: '127.0.0.1', port, name: `i${port}`, state }));
  try {
    const [fanOut, fanOutCpu]: [number[], number[]] = [[], []];
    const watchers = await startWatchers(options, end.signal);
    for (let round = 0; round < 2 * rounds; round++) {
      const before = await cpu();
      const state = round % 2 === 0 ? 'drain' : 'up';
      const began = performance.now();
      const revision = await announce(state);
      await watchers.seen(revision);
      fanOut.push(watchers.lastAt() - began);
      await sleep(200);
      fanOutCpu.push((await cpu()) - before);
    }
    watchers.stop();
    await holdPlaces(client, proxies);
    const stop = await startSynapses(options, end.signal);
    const [asked, writes, cost]: [number[], number[], number[]] = [[], [], []];
    const restBefore = await cpu();
    await sleep(restSeconds * 1_000);
    const restCpuPercent = ((await cpu()) - restBefore) / (restSeconds * 10);
    for (let round = 0; round < rounds; round++) {
      await announce('up');
      await ask(client, 'up');
      await settled(client);
      const revision = await announce('drain');
      const before = await cpu();
      const began = performance.now();
      const { progress } = await ask(client, 'drained');
      asked.push(performance.now() - began);
      if (progress.outcome !== 'done' || progress.proxies !== proxies) {
        throw new Error(`${progress.outcome} with ${progress.proxies} of ${proxies} proxies: ${progress.reason}`);
      }
      await settled(client);
      cost.push((await cpu()) - before);
      writes.push((await revisionOf(client)) - revision);
    }
    await stop();
    return { fanOut, fanOutCpu, asked, writes, cpu: cost, restCpuPercent };
  } finally {
    end.abort();
  }
}

async function ask(client: EtcdClient, expect: 'drained' | 'up'): Promise<Answer> {
  const question = { kind: 'instance', path: apiFolder, key: apiKey(port), expect } as const;
  const options = { fleet: { path: fleetPath }, by: 'the benchmark', questions: [question], timeoutMs: 60_000 };
  const { answers } = await askFleet(client, options, { log: silentLog }, new AbortController().signal);
  return answers[0] as Answer;
}

/** Waits until nothing is left of the questions. */
async function settled(client: EtcdClient): Promise<void> {
  const left = async (): Promise<number> => {
    const keys = fleetKeys(fleetPath);
    const sizes = await Promise.all(
      [keys.requests, keys.acks].map(async (prefix) => {
        const range_end = Buffer.from(`${prefix.slice(0, -1)}0`);
        const { count } = await client.call((rpc) =>
          rpc.kv.range({ key: Buffer.from(prefix), range_end, count_only: true }),
        );
        return Number(count);
      }),
    );
    return sizes.reduce((sum, one) => sum + one, 0);
  };
  while ((await left()) > 0) await sleep(50);
}

async function revisionOf(client: EtcdClient): Promise<number> {
  const { header } = await client.call((rpc) => rpc.kv.range({ key: Buffer.from('/none') }));
  return Number(header.revision);
}

/** Bare watchers of the service, each with a connection of its own. */
async function startWatchers({ cluster, proxies }: LargeFleetOptions, parent: AbortSignal) {
  const end = new AbortController();
  setMaxListeners(0, end.signal);
  parent.addEventListener('abort', () => end.abort(), { once: true });
  const known = new Array<number>(proxies).fill(0);
  let last = 0;
  const reflectors = known.map((_, index) => {
    const client = createEtcdClient({ hosts: cluster.urls }, { log: silentLog }, end.signal);
    const reflector = createReflector(client, { log: silentLog }, end.signal);
    const see = (revision: number): void => {
      known[index] = Math.max(known[index] ?? 0, revision);
      last = performance.now();
    };
    void reflector.follow(
      `${apiFolder}/`,
      ({ changed }) => {
        for (const { entry } of changed) if (entry !== undefined) see(Number(entry.modRevision));
      },
      end.signal,
    );
    return reflector;
  });
  while (!reflectors.every(({ status }) => status.synced && status.member !== null)) await sleep(50);
  // The watch of each has to be in step.
  await sleep(500);
  return {
    stop: () => end.abort(),
    lastAt: () => last,
    async seen(revision: number) {
      while (!known.every((one) => one >= revision)) await new Promise(setImmediate);
    },
  };
}

/**
 * Puts records in the places of all proxies before they start, so that each counts the whole fleet from the first on, as those of
 * a fleet that has run for a while do: they spread their acknowledgements by that number.
 */
async function holdPlaces(client: EtcdClient, proxies: number): Promise<void> {
  const lease = await grantLease(client, 600);
  const keys = fleetKeys(fleetPath);
  for (let index = 0; index < proxies; index++) {
    const record = {
      ...{ host: idOf(index), version: '0', session: newRequestId(), startedAt: new Date().toISOString() },
      ...{ paths: [], haproxyProcesses: 1 },
    };
    await put(client, proxyKey(keys, idOf(index)), formatProxy(record), lease);
  }
}

function idOf(index: number): string {
  return `proxy-${index}`;
}

/** Starts the synapses, and waits until each takes part. @returns what ends them */
async function startSynapses(
  { folder, cluster, proxies }: LargeFleetOptions,
  signal: AbortSignal,
): Promise<() => Promise<void>> {
  const home = join(folder, 'large-fleet');
  await mkdir(home);
  const end = new AbortController();
  setMaxListeners(0, end.signal);
  const started = await Promise.all(
    Array.from({ length: proxies }, async (_, index) => {
      await sleep((index / proxies) * startMs, signal);
      const file = join(home, `${index}.json`);
      const etcd = { hosts: cluster.urls };
      const services = { api: { discovery: { method: 'etcd' }, haproxy: { port: 8080, listen: ['mode http'] } } };
      const path = (suffix: string): string => join(home, `${index}.${suffix}`);
      const lines = { global: [], defaults: ['timeout connect 1s'] };
      const haproxy = { ...lines, config_file_path: path('cfg'), socket_file_path: path('sock'), do_reloads: false };
      const fleet = { path: fleetPath, id: idOf(index) };
      await writeFile(file, JSON.stringify({ etcd, admin: { listen: false }, fleet, services, haproxy }));
      const synapse = new Synapse(await readSynapseConfig(file), {
        ...{ log: silentLog, host: thisHost, openEtcd: createEtcdClient },
        createHaproxy: () => new HaproxyStandIn(),
      });
      return { synapse, done: synapse.run(end.signal) };
    }),
  );
  await eventually(() => {
    const waiting = started.filter(({ synapse }) => synapse.state().fleet?.reason !== null);
    if (waiting.length > 0) throw new Error(`${waiting.length} synapses take no part yet`);
  });
  return async () => {
    end.abort();
    await Promise.all(started.map(({ done }) => done));
  };
}

/** A HAProxy that has at once what it is given, and takes some milliseconds to be read. */
class HaproxyStandIn implements RunningHaproxy {
  readonly status: HaproxyStatus = {
    ...{ generation: null, wantedGeneration: '', rejected: null, quarantined: {}, pendingReload: [], oldWorkers: null },
    ...{ lastError: null, writeError: null, fileWrittenAt: null, lastReloadAt: null, sockets: [], held: [] },
    ...{ problems: {}, waitingReload: {}, stuck: [], dropped: [] },
  };
  readonly reason = null;
  readonly stickyDrainMs = 0;
  #snapshot: Snapshot = new Map();

  async apply(snapshot: Snapshot) {
    this.#snapshot = snapshot;
    return [];
  }
  run(signal: AbortSignal): Promise<void> {
    return aborted(signal);
  }
  find(service: string, names: Parameters<RunningHaproxy['find']>[1]) {
    const found = (this.#snapshot.get(service)?.instances ?? []).filter(({ id }) =>
      'exact' in names ? id === names.exact : names.like(id),
    );
    const servers = found.map(({ id, state }) => ({
      ...{ name: id, fixed: false },
      wanted: state === 'drain' ? ('drain' as const) : ('ready' as const),
    }));
    return { backend: service, servers, persistence: { survives: 'none' as const, line: null } };
  }
  async prove(servers: Parameters<RunningHaproxy['prove']>[0], signal: AbortSignal) {
    await sleep(readingMs, signal);
    const read = servers.map(({ backend, name }) => {
      const state = this.#snapshot.get(backend)?.instances?.find(({ id }) => id === name)?.state;
      const rotation: Rotation = state === undefined ? 'absent' : state === 'drain' ? 'drained' : 'open';
      const worker = { pid: 1, stopped: false, weight: 1, connections: 0, queued: 0, mayChoose: true };
      return { backend, name, inFile: rotation, workers: [{ ...worker, role: 'in charge' as const, rotation }] };
    });
    return { servers: read, processes: 1, oldWorkers: 0, oldWorkersUnasked: 0, reason: null };
  }
  async fileWritten(): Promise<void> {}
  async unapplied() {
    return null;
  }
  health() {
    return undefined;
  }
  statistics(): Promise<never> {
    return Promise.reject(new Error('a stand-in counts nothing'));
  }
  closeDrained(): void {}
  listen(): void {}
  sent() {
    return [];
  }
}
