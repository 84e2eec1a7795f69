import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Etcd3 } from 'etcd3';
import { formatInstance, type Instance, makeInstance } from '../../common/instance.ts';
import { type Child, startChild, waitFor } from '../../deploy/demo/child.ts';
import { accepts, answers } from '../../deploy/demo/probe.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import { builtFile } from '../support/repository.ts';
import { type Observer, observe } from './rotation.ts';

/** The size and the length of a measurement. */
export interface PropagationOptions {
  readonly folder: string;
  readonly etcdHosts: readonly string[];
  readonly haproxyPath: string;
  /** Servers before the first change: in one backend up to 5,000, else in backends of {@link serversOfService} each. */
  readonly servers: number;
  /** Changes measured, each a new instance. */
  readonly changes: number;
}

/** Milliseconds from just before an etcd put until HAProxy has the new server in rotation, one sample per change. */
export interface PropagationResult {
  readonly floor: readonly number[];
  readonly synapse: readonly number[];
}

/** One of the two programs that are compared, with its own prefix in etcd and its own HAProxy. */
interface Contestant {
  readonly prefix: string;
  readonly observer: Observer;
  readonly samples: number[];
}

/** The size of the services of a large fleet. */
const serversOfService = 50;

/** How the servers are spread over services, which are called `api-1`, `api-2` and so on; numbers count from 1. */
export interface Fleet {
  readonly services: number;
  readonly each: number;
}

function fleetOf(servers: number): Fleet {
  return servers <= 5_000
    ? { services: 1, each: servers }
    : { services: Math.ceil(servers / serversOfService), each: serversOfService };
}

/** The server that the n-th change adds: its service, and its number there, which is its id in HAProxy too. */
function added({ services, each }: Fleet, change: number) {
  const service = ((change - 1) % services) + 1;
  const id = each + Math.ceil(change / services);
  return { backend: `api-${service}`, id, instance: numbered(service, id) };
}

const floorMain = builtFile('test/bench/floor.js');
const synapseMain = builtFile('synapse/main.js');

/**
 * Measures synapse and the floor in turn, change by change, so that other load on the machine affects both alike.
 */
export async function measurePropagation(options: PropagationOptions): Promise<PropagationResult> {
  const { folder, etcdHosts, servers, changes } = options;
  const etcd = new Etcd3({ hosts: [...etcdHosts] });
  const children: Child[] = [];
  const observers: Observer[] = [];
  try {
    const prefixes = { floor: `/bench/${servers}/floor/`, synapse: `/bench/${servers}/synapse/` };
    const fleet = fleetOf(servers);
    for (const prefix of Object.values(prefixes)) await fill(etcd, prefix, fleet);
    const start = async (name: string, argv: readonly [string, ...string[]]): Promise<Child> => {
      const child = await startChild(argv, { name, logFile: join(folder, `${name}-${servers}.log`) });
      children.push(child);
      return child;
    };
    const contestants: Contestant[] = [
      { prefix: prefixes.floor, observer: await startFloor(options, prefixes.floor, start), samples: [] },
      { prefix: prefixes.synapse, observer: await startSynapse(options, prefixes.synapse, start), samples: [] },
    ];
    observers.push(...contestants.map(({ observer }) => observer));
    const warmUp = 20;
    for (let change = 1; change <= warmUp + changes; change++) {
      const { backend, id, instance } = added(fleet, change);
      for (const { prefix, observer, samples } of contestants) {
        const before = performance.now();
        await etcd.put(`${prefix}${backend}/${instance.id}`).value(formatInstance(instance));
        await observer.inRotation({ backend, id, name: instance.id });
        if (change > warmUp) samples.push(performance.now() - before);
      }
    }
    const [floor, synapse] = contestants.map(({ samples }) => samples);
    return { floor: floor ?? [], synapse: synapse ?? [] };
  } finally {
    for (const observer of observers) observer.close();
    for (const child of children.reverse()) await child.stop('SIGTERM', 5_000);
    etcd.close();
  }
}

type Start = (name: string, argv: readonly [string, ...string[]]) => Promise<Child>;

async function startFloor(options: PropagationOptions, prefix: string, start: Start): Promise<Observer> {
  const { folder, haproxyPath, etcdHosts, servers } = options;
  const socket = join(folder, `floor-${servers}.sock`);
  const config = join(folder, `floor-${servers}.cfg`);
  const lines = ['global', `\tstats socket ${socket} mode 600 level admin`, ...defaults];
  const { services, each } = fleetOf(servers);
  for (let service = 1; service <= services; service++) {
    lines.push(`backend api-${service}`);
    for (let number = 1; number <= each; number++) {
      const { id, host, port } = numbered(service, number);
      lines.push(`\tserver ${id} ${host}:${port} id ${number}`);
    }
  }
  await writeFile(config, `${lines.join('\n')}\n`);
  const haproxy = await start('floor-haproxy', [haproxyPath, '-db', '-f', config]);
  await waitFor(haproxy, () => accepts(socket));
  const floor = await start('floor', [process.execPath, floorMain, etcdHosts.join(','), prefix, socket]);
  await waitFor(floor, () => floor.output().includes('ready'));
  return observe(socket);
}

async function startSynapse(options: PropagationOptions, prefix: string, start: Start): Promise<Observer> {
  const { folder, haproxyPath, etcdHosts, servers } = options;
  const home = join(folder, `synapse-${servers}`);
  await mkdir(home);
  const socket = join(home, 'admin.sock');
  const master = join(home, 'master.sock');
  const configFile = join(home, 'haproxy.cfg');
  const admin = `127.0.0.1:${await freePort()}`;
  const fleet = fleetOf(servers);
  const names = Array.from({ length: fleet.services }, (_, index) => `api-${index + 1}`);
  const configuration = {
    etcd: { hosts: etcdHosts },
    admin: { listen: admin, control_socket: join(home, 'synapse.sock') },
    services: Object.fromEntries(
      names.map((name) => [
        name,
        { discovery: { method: 'etcd', path: `${prefix}${name}` }, haproxy: { listen: ['mode http'] } },
      ]),
    ),
    haproxy: {
      global: ['maxconn 4096'],
      defaults: defaults.slice(1),
      haproxy_path: haproxyPath,
      config_file_path: configFile,
      socket_file_path: socket,
      master_socket_path: master,
    },
  };
  await writeFile(join(home, 'synapse.json'), JSON.stringify(configuration));
  await writeFile(configFile, `global\n\tstats socket ${socket} mode 600 level admin\n`);
  const haproxy = await start('haproxy', [haproxyPath, '-W', '-S', master, '-f', configFile]);
  await waitFor(haproxy, () => accepts(socket));
  const synapse = await start('synapse', [process.execPath, synapseMain, '-c', join(home, 'synapse.json')]);
  await waitFor(synapse, () => answers(`http://${admin}/readyz`), 60_000);
  const observer = await observe(socket);
  const [service, id] = [fleet.services, fleet.each];
  if (id > 0) await observer.inRotation({ backend: `api-${service}`, id, name: numbered(service, id).id });
  return observer;
}

/** The section `defaults` of every HAProxy here. */
export const defaults = ['defaults', 'mode http', 'timeout connect 1s', 'timeout client 10s', 'timeout server 10s'];

/** Announces a fleet below a prefix. */
export async function fill(etcd: Etcd3, prefix: string, { services, each }: Fleet): Promise<void> {
  const all: { readonly backend: string; readonly instance: Instance }[] = [];
  for (let service = 1; service <= services; service++) {
    for (let number = 1; number <= each; number++) {
      all.push({ backend: `api-${service}`, instance: numbered(service, number) });
    }
  }
  for (let first = 0; first < all.length; first += 100) {
    const puts = all
      .slice(first, first + 100)
      .map(({ backend, instance }) => etcd.put(`${prefix}${backend}/${instance.id}`).value(formatInstance(instance)));
    await etcd
      .if('/bench/none', 'Version', '==', 0)
      .then(...puts)
      .commit();
  }
}

/** An instance of a service: its key sorts by number, so that ids handed out in order are the number. */
export function numbered(service: number, number: number): Instance {
  const host = `127.${(service % 250) + 1}.${Math.floor(number / 250)}.${(number % 250) + 1}`;
  const port = 9_000 + Math.floor(service / 250);
  return makeInstance({ name: `i${String(number).padStart(6, '0')}`, host, port });
}
