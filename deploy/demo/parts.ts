import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EtcdOptions } from '../../common/etcd/client/options.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import { type Child, waitFor } from './child.ts';
import { accepts, answers } from './probe.ts';
import type { Processes } from './processes.ts';

/** A daemon's program and the configuration it runs with. */
export interface Daemon {
  readonly argv: readonly [string, ...string[]];
  readonly configFile: string;
  /** Its admin address, `host:port`. */
  readonly admin: string;
  /** Another one after each start. */
  process: Child;
}

/** HAProxy, master and worker, with its sockets. */
export interface Haproxy {
  readonly argv: readonly [string, ...string[]];
  readonly socket: string;
  readonly master: string;
  readonly configFile: string;
  /** Another one after each start. */
  process: Child;
}

/** One copy of a sample service with the nerve beside it. */
export interface SampleInstance {
  readonly id: string;
  readonly service: string;
  readonly port: number;
  readonly nerve: Daemon;
  process: Child;
}

const nerveMain = fileURLToPath(new URL('../../nerve/main.js', import.meta.url));
const synapseMain = fileURLToPath(new URL('../../synapse/main.js', import.meta.url));
const sampleMain = fileURLToPath(new URL('./sample-service.js', import.meta.url));

/** Starts one instance of a sample service, and the nerve beside it. */
export async function addInstance(
  processes: Processes,
  options: { service: string; id: string; etcd: EtcdOptions; ttl: number },
): Promise<SampleInstance> {
  const { service, id, etcd, ttl } = options;
  const port = await freePort();
  const admin = `127.0.0.1:${await freePort()}`;
  const configFile = join(processes.folder, `nerve-${id}.json`);
  const check = { type: 'http', uri: '/health', timeout: 0.5, rise: 1, fall: 2 };
  await writeJson(configFile, {
    instance_id: id,
    ttl,
    etcd,
    admin: { listen: admin, control_socket: join(processes.folder, `nerve-${id}.sock`) },
    state_file_path: join(processes.folder, `nerve-${id}.state.json`),
    services: { [service]: { host: '127.0.0.1', port, check_interval: 0.1, checks: [check] } },
  });
  const sample = await startSample(processes, { id, port });
  const daemon = { argv: [process.execPath, nerveMain], configFile, admin } as const;
  return {
    id,
    service,
    port,
    nerve: { ...daemon, process: await startDaemon(processes, `nerve of ${id}`, daemon) },
    process: sample,
  };
}

/** Starts the process of an instance, also again after it ended. */
export async function startSample(processes: Processes, { id, port }: { id: string; port: number }): Promise<Child> {
  const child = await processes.start(id, [process.execPath, sampleMain, id, String(port)]);
  await waitFor(child, () => accepts(port));
  return child;
}

/** Starts nerve or synapse and waits until it is ready. */
export async function startDaemon(processes: Processes, name: string, daemon: Omit<Daemon, 'process'>): Promise<Child> {
  const child = await processes.start(name, [...daemon.argv, '-c', daemon.configFile]);
  await waitFor(child, () => answers(`http://${daemon.admin}/readyz`));
  return child;
}

/** Starts HAProxy with an empty configuration, as its container does: synapse writes the real one. */
export async function addHaproxy(processes: Processes, haproxyPath: string): Promise<Haproxy> {
  const home = join(processes.folder, 'haproxy');
  await mkdir(home);
  const socket = join(home, 'admin.sock');
  const master = join(home, 'master.sock');
  const configFile = join(home, 'haproxy.cfg');
  await writeFile(configFile, `global\n\tstats socket ${socket} mode 600 level admin\n`);
  const haproxy = { argv: [haproxyPath, '-W', '-S', master, '-f', configFile], socket, master, configFile } as const;
  return { ...haproxy, process: await startHaproxy(processes, haproxy) };
}

/** Starts HAProxy with the configuration that its file has now. */
export async function startHaproxy(processes: Processes, { argv, socket }: Omit<Haproxy, 'process'>): Promise<Child> {
  const child = await processes.start('haproxy', argv);
  await waitFor(child, () => accepts(socket));
  return child;
}

/** A request is lost when its instance is killed; HAProxy may send it again, because the sample service only reads. */
const retryOn = 'retry-on conn-failure empty-response';

/** Starts synapse with one HAProxy port per service. */
export async function addSynapse(
  processes: Processes,
  options: {
    etcd: EtcdOptions;
    ports: Readonly<Record<string, number>>;
    haproxy: Haproxy;
    haproxyPath: string;
  },
): Promise<Daemon> {
  const { etcd, ports, haproxy, haproxyPath } = options;
  const admin = `127.0.0.1:${await freePort()}`;
  const configFile = join(processes.folder, 'synapse.json');
  const services = Object.entries(ports).map(([service, port]) => [
    service,
    {
      discovery: { method: 'etcd' },
      // HAProxy looks at the instances too, as in production.
      haproxy: { port, listen: ['mode http', retryOn], server_options: 'check inter 1s' },
    },
  ]);
  await writeJson(configFile, {
    etcd,
    admin: { listen: admin, control_socket: join(processes.folder, 'synapse.sock') },
    state_file_path: join(processes.folder, 'synapse.state.json'),
    services: Object.fromEntries(services),
    haproxy: {
      global: ['maxconn 4096'],
      defaults: ['mode http', 'timeout connect 2s', 'timeout client 30s', 'timeout server 30s', 'retries 3'],
      bind_address: '127.0.0.1',
      haproxy_path: haproxyPath,
      config_file_path: haproxy.configFile,
      socket_file_path: haproxy.socket,
      master_socket_path: haproxy.master,
    },
  });
  const daemon = { argv: [process.execPath, synapseMain], configFile, admin } as const;
  return { ...daemon, process: await startDaemon(processes, 'synapse', daemon) };
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, JSON.stringify(value, null, 2));
}
