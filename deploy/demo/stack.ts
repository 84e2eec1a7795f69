import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EtcdTls } from '../../common/etcd/client/options.ts';
import type { MemberTls } from '../../etcd-cluster/members/flags.ts';
import { type LocalCluster, startCluster } from '../../etcd-cluster/members/local-cluster.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import { findProgram } from '../tools/debian/programs.ts';
import {
  addHaproxy,
  addInstance,
  addSynapse,
  type Daemon,
  type Haproxy,
  type SampleInstance,
  startDaemon,
  startHaproxy,
  startSample,
} from './parts.ts';
import { Processes } from './processes.ts';
import { busyAdvice, longestWaitMs, noteWhileSlow } from './slow.ts';

/** A whole SmartStack on loopback: etcd, sample services, a nerve beside each, one HAProxy and one synapse. */
export interface Stack {
  readonly folder: string;
  readonly etcd: LocalCluster;
  readonly instances: readonly SampleInstance[];
  readonly synapse: Daemon;
  readonly haproxy: Haproxy;
  /** Where applications reach each service: HAProxy's port on 127.0.0.1. */
  readonly ports: Readonly<Record<string, number>>;
  /** Starts a part again that was stopped or killed; resolves when it is ready. */
  startInstance(instance: SampleInstance): Promise<void>;
  startNerve(instance: SampleInstance): Promise<void>;
  startSynapse(): Promise<void>;
  startHaproxy(): Promise<void>;
  /** Ends every process and removes every file. */
  stop(): Promise<void>;
}

/** The size and the versions of the demo. */
export interface StackOptions {
  readonly services?: readonly string[];
  readonly instancesPerService?: number;
  /** Versions to run, such as '3.4'; default: a version on the PATH that fits, else the newest stable one of Debian. */
  readonly etcdVersion?: string;
  readonly haproxyVersion?: string;
  /** Seconds until a crashed nerve's announcements vanish. */
  readonly ttlSeconds?: number;
  /** HAProxy's port for the first service, if it is free; the next services have the ports after it. */
  readonly firstPort?: number;
  /** Called with a line about each part that starts. */
  readonly onProgress?: (line: string) => void;
  /** Certificates of the members, by name, and of the daemons. */
  readonly tls?: {
    readonly member: (name: string) => MemberTls;
    readonly client: (user: 'nerve' | 'synapse') => EtcdTls;
  };
  /** Other addresses at which synapse reaches etcd, such as those of proxies in front of the members. */
  readonly routeSynapse?: (urls: readonly string[]) => Promise<readonly string[]>;
}

/**
 * Starts everything and waits until each part is ready. Nothing is left behind at `stop`, when a part fails to start, or when
 * this process ends without `stop`, except by SIGKILL.
 * @throws when a part fails to start, or `signal` aborts meanwhile
 */
export async function startStack(options: StackOptions = {}, signal?: AbortSignal): Promise<Stack> {
  const { services = ['api', 'web'], onProgress = () => {} } = options;
  const find = (name: 'etcd' | 'haproxy', version: string | undefined): Promise<string> => {
    const advice = "it comes from Debian's packages into .cache/programs; wait, or press Ctrl-C and install it by hand";
    return noteWhileSlow(() => findProgram(name, versionOf(version)), { what: name, advice }, onProgress);
  };
  const etcdPath = await find('etcd', options.etcdVersion);
  const haproxyPath = await find('haproxy', options.haproxyVersion);
  signal?.throwIfAborted();
  const folder = await mkdtemp(join(tmpdir(), 'smartstack-'));
  const processes = new Processes(folder, { onSlow: onProgress, signal });
  let etcd: LocalCluster | undefined;
  const abandon = (): void => {
    processes.kill();
    // Members of etcd end with this process, and may write until then.
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
  };
  process.once('exit', abandon);
  const stop = async (): Promise<void> => {
    await processes.stop();
    await etcd?.stopAll();
    await rm(folder, { recursive: true, force: true });
    process.off('exit', abandon);
  };
  try {
    onProgress('starting three etcd members');
    const { tls } = options;
    etcd = await startEtcd(etcdPath, { folder, options }, signal);
    signal?.throwIfAborted();
    const hosts = etcd.urls;
    const as = (user: 'nerve' | 'synapse') => (tls === undefined ? {} : { tls: tls.client(user) });
    onProgress('starting the sample services, with a nerve beside each instance');
    const ids = services.flatMap((service) =>
      Array.from({ length: options.instancesPerService ?? 2 }, (_, index) => ({
        service,
        id: `${service}-${index + 1}`,
      })),
    );
    const instances: SampleInstance[] = [];
    for (const id of ids) {
      instances.push(
        await addInstance(processes, { ...id, etcd: { hosts, ...as('nerve') }, ttl: options.ttlSeconds ?? 10 }),
      );
    }
    onProgress('starting HAProxy and synapse');
    const haproxy = await addHaproxy(processes, haproxyPath);
    const ports: Record<string, number> = {};
    for (const [index, service] of services.entries()) {
      ports[service] = await freePort(options.firstPort === undefined ? undefined : options.firstPort + index);
    }
    const synapseHosts = (await options.routeSynapse?.(hosts)) ?? hosts;
    const synapse = await addSynapse(processes, {
      etcd: { hosts: synapseHosts, ...as('synapse') },
      ...{ ports, haproxy, haproxyPath },
    });

    return {
      folder,
      etcd,
      instances,
      synapse,
      haproxy,
      ports,
      async startInstance(instance) {
        instance.process = await startSample(processes, instance);
      },
      async startNerve({ id, nerve }) {
        nerve.process = await startDaemon(processes, `nerve of ${id}`, nerve);
      },
      async startSynapse() {
        synapse.process = await startDaemon(processes, 'synapse', synapse);
      },
      async startHaproxy() {
        haproxy.process = await startHaproxy(processes, haproxy);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function versionOf(version: string | undefined): { version?: string } {
  return version === undefined ? {} : { version };
}

async function startEtcd(
  etcd: string,
  { folder, options: { tls, onProgress = () => {} } }: { readonly folder: string; readonly options: StackOptions },
  signal?: AbortSignal,
): Promise<LocalCluster> {
  const dataDir = join(folder, 'etcd');
  const start = () =>
    startCluster({ size: 3, etcd, dataDir, timeoutMs: longestWaitMs, ...(tls && { tls: tls.member }) }, signal);
  return noteWhileSlow(start, { what: 'etcd', advice: `its logs are below ${dataDir}; ${busyAdvice}` }, onProgress);
}
