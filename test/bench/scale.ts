import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import { formatInstance, type Instance, makeInstance } from '../../common/instance.ts';
import { startChild, waitFor } from '../../deploy/demo/child.ts';
import { accepts, answers } from '../../deploy/demo/probe.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import { builtFile } from '../support/repository.ts';
import { childrenOf, cpuMilliseconds, cpuPercent, residentMegabytes } from './process-cost.ts';

/** The size and the length of a measurement. */
export interface ScaleOptions {
  readonly folder: string;
  readonly etcdHosts: readonly string[];
  readonly haproxyPath: string;
  readonly services: number;
  /** Of each service. */
  readonly instances: number;
  /** Changes measured, one after the other: an instance that drains, or serves again. */
  readonly changes: number;
  /** How long the cost at rest is measured. */
  readonly restSeconds: number;
}

/** The resources that synapse uses on its host. */
export interface ScaleResult {
  /** From the start of the process until haproxy.cfg has all servers, seconds. */
  readonly firstWriteSeconds: number;
  /** Memory once everything is applied, megabytes. */
  readonly residentMegabytes: number;
  /**
   * Shares of one core while nothing changes, percent: synapse reads HAProxy's counters and looks for problems, renews its lease
   * and proves that its watch is alive.
   */
  readonly rest: { readonly synapsePercent: number; readonly haproxyPercent: number };
  /** Processor time of one change, with its part of the write of the file. */
  readonly change: {
    readonly cpuMilliseconds: number;
    /** Commands to HAProxy's runtime API, those that only read included. */
    readonly commands: number;
    /** Bytes written to disk: haproxy.cfg; the state file is off. */
    readonly bytesWritten: number;
  };
}

const synapseMain = builtFile('synapse/main.js');

/** Starts synapse on a registry of that size, between etcd and a HAProxy that runs, and lets single instances change. */
export async function measureScale(options: ScaleOptions): Promise<ScaleResult> {
  const { etcdHosts, haproxyPath, services, changes, restSeconds } = options;
  const home = join(options.folder, `scale-${services}`);
  await mkdir(home);
  const root = `/bench-scale/${services}`;
  const etcd = new Etcd3({ hosts: [...etcdHosts] });
  await fill(etcd, root, options);
  const file = join(home, 'haproxy.cfg');
  const socket = join(home, 'admin.sock');
  const master = join(home, 'master.sock');
  const admin = `127.0.0.1:${await freePort()}`;
  const configuration = configurationOf(options, {
    root,
    file,
    socket,
    master,
    admin,
    control: join(home, 'synapse.sock'),
  });
  const configFile = join(home, 'synapse.json');
  await writeFile(configFile, JSON.stringify(configuration));
  const started = performance.now();
  const synapse = await startChild([process.execPath, synapseMain, '-c', configFile], {
    name: 'synapse',
    logFile: join(home, 'synapse.log'),
  });
  try {
    const isWritten = async (): Promise<boolean> => (await stat(file).catch(() => undefined)) !== undefined;
    while (!(await isWritten())) await delay(5);
    const firstWriteSeconds = (performance.now() - started) / 1000;

    const haproxy = await startChild([haproxyPath, '-W', '-S', master, '-f', file], {
      name: 'haproxy',
      logFile: join(home, 'haproxy.log'),
    });
    try {
      await waitFor(haproxy, () => accepts(socket), 120_000);
      await waitFor(synapse, () => answers(`http://${admin}/readyz`), 180_000);
      await settled(file);
      const memory = await residentMegabytes(synapse.pid);
      const pids = [synapse.pid, ...(await childrenOf(haproxy.pid))];
      const [synapsePercent = 0, ...workers] = await cpuPercent(pids, restSeconds);
      const rest = { synapsePercent, haproxyPercent: workers.reduce((sum, share) => sum + share, 0) };

      const commandsBefore = await commandsOf(admin);
      const before = await cpuMilliseconds(synapse.pid);
      let bytesWritten = 0;
      for (let change = 0; change < changes; change++) {
        const service = change % services;
        const state = change % 2 === 0 ? 'drain' : 'up';
        const owner = service - (state === 'up' ? 1 % services : 0);
        const instance = numbered(owner, 1, state);
        const at = (await stat(file)).mtimeMs;
        await etcd.put(`${root}/${nameOf(owner)}/${instance.id}`).value(formatInstance(instance));
        // The file comes last: HAProxy has the change by then. Questions in between would be measured too.
        for (let i = 0; i < 500 && (await stat(file)).mtimeMs === at; i++) await delay(20);
        const written = await stat(file);
        if (written.mtimeMs !== at) bytesWritten += written.size;
      }
      const spent = (await cpuMilliseconds(synapse.pid)) - before;
      const sent = (await commandsOf(admin)) - commandsBefore;
      return {
        firstWriteSeconds,
        residentMegabytes: memory,
        rest,
        change: {
          cpuMilliseconds: spent / changes,
          commands: sent / changes,
          bytesWritten: bytesWritten / changes,
        },
      };
    } finally {
      await haproxy.stop('SIGTERM', 5_000);
    }
  } finally {
    await synapse.stop('SIGTERM', 10_000);
    etcd.close();
  }
}

interface Places {
  /** The folder of all services in etcd. */
  readonly root: string;
  readonly file: string;
  readonly socket: string;
  readonly master: string;
  readonly admin: string;
  readonly control: string;
}

function configurationOf(
  { etcdHosts, haproxyPath, services }: ScaleOptions,
  { root, file, socket, master, admin, control }: Places,
): object {
  return {
    etcd: { hosts: etcdHosts },
    admin: { listen: admin, control_socket: control },
    initial_wait: 120,
    services: Object.fromEntries(
      Array.from({ length: services }, (_, service) => [
        nameOf(service),
        { discovery: { method: 'etcd', path: `${root}/${nameOf(service)}` }, haproxy: { listen: ['mode http'] } },
      ]),
    ),
    haproxy: {
      global: ['maxconn 1000', 'nbthread 1', `stats socket ${socket} mode 600 level admin`],
      defaults: ['mode http', 'timeout connect 1s', 'timeout client 10s', 'timeout server 10s'],
      haproxy_path: haproxyPath,
      config_file_path: file,
      socket_file_path: socket,
      master_socket_path: master,
      check_timeout: '120s',
      reload_timeout: '120s',
    },
  };
}

/** Waits until the file has not changed for two seconds. */
async function settled(file: string): Promise<void> {
  let since = performance.now();
  let last = (await stat(file)).mtimeMs;
  while (performance.now() < since + 2_000) {
    await delay(100);
    const now = (await stat(file)).mtimeMs;
    if (now !== last) since = performance.now();
    last = now;
  }
}

/** The number of commands that synapse has sent so far. */
async function commandsOf(admin: string): Promise<number> {
  const response = await fetch(`http://${admin}/metrics`, { signal: AbortSignal.timeout(10_000) });
  const samples = (await response.text()).matchAll(/^synapse_haproxy_commands_total(?:\{[^}]*\})? (\d+)$/gm);
  return [...samples].reduce((sum, [, value]) => sum + Number(value), 0);
}

async function fill(etcd: Etcd3, root: string, { services, instances }: ScaleOptions): Promise<void> {
  for (let service = 0; service < services; service++) {
    const puts = Array.from({ length: instances }, (_, index) => {
      const instance = numbered(service, index, 'up');
      return etcd.put(`${root}/${nameOf(service)}/${instance.id}`).value(formatInstance(instance));
    });
    await etcd
      .if('/bench-scale/none', 'Version', '==', 0)
      .then(...puts)
      .commit();
  }
}

function nameOf(service: number): string {
  return `s${String(service).padStart(4, '0')}`;
}

function numbered(service: number, index: number, state: 'up' | 'drain'): Instance {
  const host = `127.${1 + Math.floor(service / 250)}.${(service % 250) + 1}.${index + 1}`;
  return makeInstance({ name: `i${index}`, host, port: 9000, state });
}
