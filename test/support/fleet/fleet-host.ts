import assert from 'node:assert/strict';
import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../../../common/daemon/log.ts';
import { createEtcdClient, type EtcdClient } from '../../../common/etcd/client/client.ts';
import { askFleet } from '../../../common/fleet/ask.ts';
import type { Progress } from '../../../common/fleet/progress.ts';
import type { Question } from '../../../common/fleet/question.ts';
import { thisHost } from '../../../common/host.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { readSynapseConfig, type SynapseConfig } from '../../../synapse/config/config.ts';
import { LocalHaproxy } from '../../../synapse/haproxy/haproxy.ts';
import { Synapse } from '../../../synapse/synapse.ts';
import { put, testLog } from '../etcd/etcd.ts';
import { eventually, patienceMs } from '../eventually.ts';
import { haproxySection, type TestHaproxy, testHaproxy } from '../haproxy/haproxy.ts';
import type { HaproxyVersion } from '../haproxy/versions.ts';

/** Where the fleet of a test is in etcd. */
export const fleetPath = '/test/fleet';
/** The folder of the instances of the service `api`. */
export const apiFolder = '/nerve/services/api';

type HaproxyOptions = Readonly<Record<string, unknown>>;

/** What {@link startFleetHost} starts. */
export interface FleetHostOptions {
  readonly etcd: readonly string[];
  readonly version?: HaproxyVersion | undefined;
  /** Default `host-1`. */
  readonly id?: string;
  /** The `haproxy` section of the service `api`, beside its port. */
  readonly api?: Readonly<Record<string, unknown>>;
  /** More of the service `api`. */
  readonly service?: Readonly<Record<string, unknown>>;
  /** Options of the top-level `haproxy` section; a function where they depend on the folder. */
  readonly haproxy?: HaproxyOptions | ((haproxy: TestHaproxy) => HaproxyOptions);
  /** Starts more that the host needs, once its HAProxy runs. */
  readonly alsoStart?: (haproxy: TestHaproxy) => Promise<void>;
  /** More sections of the configuration. */
  readonly more?: Readonly<Record<string, unknown>>;
  readonly log?: Log;
}

/** A HAProxy, and a synapse in this process that takes part in the fleet. */
export interface FleetHost {
  readonly haproxy: TestHaproxy;
  readonly synapse: Synapse;
  /** Where the service `api` is served. */
  readonly port: number;
  /** Reads the configuration again, with other options. */
  reconfigure(options: Partial<FleetHostOptions>): Promise<void>;
  /** Ends synapse and leaves HAProxy running. */
  stop(): Promise<void>;
  /** Ends synapse and starts another one. */
  restart(): Promise<void>;
}

/** What a test, or a benchmark, does at its end. */
export interface Cleanup {
  after(run: () => Promise<void> | void): void;
}

/** Starts a host of a fleet; it ends with the test. */
export async function startFleetHost(t: Cleanup, given: FleetHostOptions): Promise<FleetHost> {
  const { log = testLog() } = given;
  const haproxy = await testHaproxy(given.version);
  const section = typeof given.haproxy === 'function' ? given.haproxy(haproxy) : (given.haproxy ?? {});
  const options = { ...given, haproxy: section };
  const port = await freePort();
  const file = join(haproxy.folder, 'synapse.json');
  const read = async (now: FleetHostOptions) => {
    await writeFile(file, JSON.stringify(configOf(now, haproxy, port)));
    return await readSynapseConfig(file);
  };
  let running = run(await read(options), log);
  t.after(async () => {
    await running.stop();
    await haproxy.close();
  });
  const isReady = (): Promise<void> => eventually(() => assertReady(running.synapse, options));
  if (section.do_writes !== false) await eventually(() => access(haproxy.file));
  else await haproxy.startEmpty();
  if (section.do_writes !== false) await haproxy.start();
  await options.alsoStart?.(haproxy);
  await isReady();
  return {
    haproxy,
    port,
    get synapse() {
      return running.synapse;
    },
    stop: () => running.stop(),
    async restart() {
      await running.stop();
      running = run(await read(options), log);
      await isReady();
    },
    reconfigure: async (more) => running.synapse.reconfigure(await read({ ...options, ...more })),
  };
}

interface RunningSynapse {
  readonly synapse: Synapse;
  stop(): Promise<void>;
}

function run(config: SynapseConfig, log: Log): RunningSynapse {
  const end = new AbortController();
  const synapse = new Synapse(config, {
    ...{ log, host: thisHost, openEtcd: createEtcdClient },
    createHaproxy: (haproxy, { log: its }, signal) => new LocalHaproxy(haproxy, { log: its, host: thisHost }, signal),
  });
  const done = synapse.run(end.signal);
  return {
    synapse,
    async stop() {
      end.abort();
      await done;
    },
  };
}

/** @throws as long as HAProxy does not have what synapse knows, as far as this configuration lets synapse see it */
function assertReady(synapse: Synapse, { haproxy = {} }: { readonly haproxy?: HaproxyOptions }): void {
  if (haproxy.do_writes === false) {
    assert.ok(synapse.state().haproxy?.sockets.every(({ connected }) => connected));
  } else if (haproxy.do_socket !== false) assert.equal(synapse.ready(), null);
}

function configOf(options: FleetHostOptions, haproxy: TestHaproxy, port: number): object {
  const { etcd, id = 'host-1', api = { listen: ['mode http'] }, service = {}, more = {} } = options;
  const quick = { bind_address: '127.0.0.1', restart_interval: '100ms', reload_timeout: '20s' };
  return {
    etcd: { hosts: etcd },
    admin: { listen: false },
    fleet: { path: fleetPath, id },
    services: { api: { discovery: { method: 'etcd' }, haproxy: { port, ...api }, ...service } },
    haproxy: haproxySection(haproxy, { ...quick, ...options.haproxy }),
    ...more,
  };
}

/** The key of an instance of the service `api` on this host. */
export function apiKey(port: number): string {
  return `${apiFolder}/i${port}_127.0.0.1:${port}`;
}

/** Announces an instance of the service `api` on this host. @returns the revision */
export function announce(client: EtcdClient, port: number, more: object = {}): Promise<number> {
  return put(client, apiKey(port), JSON.stringify({ host: '127.0.0.1', port, name: `i${port}`, ...more }));
}

/** Whether an instance of the service `api` is as expected in every HAProxy. */
export function about(port: number, expect: 'drained' | 'up' | 'gone'): Question {
  return { kind: 'instance', path: apiFolder, key: apiKey(port), expect };
}

/** A question to the fleet while it is open. */
export interface Asking {
  /** How far it is now; undefined before the first news. */
  readonly last: Progress | undefined;
  readonly answer: Promise<Progress>;
}

/** Asks the fleet. */
export function ask(client: EtcdClient, question: Question, options: { readonly timeoutMs?: number } = {}): Asking {
  const { timeoutMs = patienceMs } = options;
  const asking: { last: Progress | undefined } = { last: undefined };
  const onProgress = ([progress]: readonly Progress[]): void => {
    asking.last = progress;
  };
  const whole = { fleet: { path: fleetPath }, by: 'a test', questions: [question], timeoutMs };
  const asked = askFleet(client, whole, { log: testLog(), onProgress }, new AbortController().signal);
  return Object.assign(asking, { answer: asked.then(({ answers }) => answers[0]?.progress as Progress) });
}
