import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Etcd3 } from 'etcd3';
import { sleep } from '../../common/async/sleep.ts';
import { formatInstance, makeInstance } from '../../common/instance.ts';
import { type Child, startChild, waitFor } from '../../deploy/demo/child.ts';
import { accepts, answers } from '../../deploy/demo/probe.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import { cpuMilliseconds, ownMegabytes, type RestRates, residentMegabytes, restRates } from './process-cost.ts';
import { quantile } from './statistics.ts';

/** What is measured, and where. */
export interface FootprintOptions {
  readonly folder: string;
  readonly etcdHosts: readonly string[];
  readonly haproxyPath: string;
  /** The folder with `nerve/main.js` and `synapse/main.js`. */
  readonly dist: string;
  /** How often each start is measured; the medians count. */
  readonly rounds: number;
  /** For how long a daemon rests while its processor time is read, seconds. */
  readonly restSeconds: number;
}

/** One start of a program, until it ends. */
export interface StartCost {
  readonly what: string;
  /** Median, milliseconds. */
  readonly milliseconds: number;
  /** Median of user and system time, milliseconds. */
  readonly cpuMilliseconds: number;
  /** Median of the largest resident memory, MB. */
  readonly megabytes: number;
}

/** A daemon at rest. */
export interface RestCost extends RestRates {
  readonly what: string;
  readonly megabytes: number;
  /** Without the pages of the programs and libraries, which all Node processes of a host share. */
  readonly ownMegabytes: number;
}

/** The result; the first of `starts` and of `rests` is a bare Node. */
export interface Footprint {
  readonly starts: readonly StartCost[];
  readonly rests: readonly RestCost[];
}

/** Measures what the daemons and their commands take of a host, beside a Node that does nothing. */
export async function measureFootprint(options: FootprintOptions): Promise<Footprint> {
  const home = join(options.folder, 'footprint');
  await mkdir(home);
  const stopping: (() => Promise<unknown>)[] = [];
  try {
    const bare = await startChild([process.execPath, '-e', 'setInterval(() => {}, 1 << 30)'], {
      name: 'a bare Node',
      logFile: join(home, 'bare.log'),
    });
    stopping.push(() => bare.stop());
    const nerve = await startNerve(join(home, 'nerve'), options);
    stopping.push(nerve.stop);
    const ten = await startSynapse(join(home, 'ten'), options, { services: 10, servers: 1 });
    stopping.push(ten.stop);
    const starts = await measureStarts(home, options);
    const many = await startSynapse(join(home, 'many'), options, { services: 100, servers: 60 });
    stopping.push(many.stop);
    await sleep(20_000);
    const daemons = [
      { what: 'bare Node', child: bare },
      { what: 'nerve, one service with an http check', child: nerve.child },
      { what: 'synapse, ten services of one server', child: ten.child },
      { what: 'synapse, 6,000 servers in 100 services', child: many.child },
    ];
    const pids = daemons.map(({ child }) => child.pid);
    const rates = await restRates(pids, options.restSeconds);
    const memory = await Promise.all(pids.map(residentMegabytes));
    const own = await Promise.all(pids.map(ownMegabytes));
    const rests = daemons.map(({ what }, i) => ({
      what,
      megabytes: memory[i] ?? Number.NaN,
      ownMegabytes: own[i] ?? Number.NaN,
      ...(rates[i] ?? { cpuPercent: Number.NaN, wakesPerSecond: Number.NaN }),
    }));
    return { starts, rests };
  } finally {
    for (const stop of stopping.reverse()) await stop();
  }
}

/** One nerve with one service that answers over HTTP, from its start until etcd has the announcement. */
async function startNerve(home: string, { dist, etcdHosts }: Pick<FootprintOptions, 'dist' | 'etcdHosts'>) {
  await mkdir(home);
  const server = createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const admin = `127.0.0.1:${await freePort()}`;
  const path = `/bench-footprint${home}`;
  const check = { type: 'http', uri: '/health', interval: 1 };
  const service = { host: '127.0.0.1', port: (server.address() as AddressInfo).port, etcd_path: path, checks: [check] };
  const file = join(home, 'nerve.yaml');
  const config = {
    instance_id: 'bench',
    etcd: { hosts: etcdHosts },
    state_file_path: false,
    services: { api: service },
  };
  await writeFile(
    file,
    JSON.stringify({ ...config, admin: { listen: admin, control_socket: join(home, 'nerve.sock') } }),
  );
  const etcd = new Etcd3({ hosts: [...etcdHosts] });
  const watcher = await etcd.watch().prefix(path).create();
  const announced = once(watcher, 'put');
  const started = performance.now();
  const child = await startChild([process.execPath, join(dist, 'nerve/main.js'), '-c', file], {
    name: 'nerve',
    logFile: join(home, 'nerve.log'),
  });
  let found = false;
  let milliseconds = 0;
  let cpu = 0;
  void announced.then(async () => {
    milliseconds = performance.now() - started;
    cpu = await cpuMilliseconds(child.pid);
    found = true;
  });
  await waitFor(child, () => found);
  await watcher.cancel();
  etcd.close();
  const stop = async (): Promise<void> => {
    await child.stop();
    server.close();
    server.closeAllConnections();
  };
  return { child, milliseconds, cpuMilliseconds: cpu, stop };
}

/** One synapse that has all servers, beside the HAProxy that it keeps. */
export async function startSynapse(
  home: string,
  { dist, etcdHosts, haproxyPath }: Pick<FootprintOptions, 'dist' | 'etcdHosts' | 'haproxyPath'>,
  { services, servers }: { readonly services: number; readonly servers: number },
): Promise<{ readonly child: Child; readonly stop: () => Promise<void> }> {
  await mkdir(home);
  const names = Array.from({ length: services }, (_, service) => `s${service}`);
  await announce(etcdHosts, home, names, servers);
  const [file, socket, master] = ['haproxy.cfg', 'admin.sock', 'master.sock'].map((name) => join(home, name));
  const admin = `127.0.0.1:${await freePort()}`;
  const discovery = (name: string) => ({ method: 'etcd', path: `/bench-footprint${home}/${name}` });
  const config = {
    etcd: { hosts: etcdHosts },
    admin: { listen: admin, control_socket: join(home, 'synapse.sock') },
    services: Object.fromEntries(names.map((name) => [name, { discovery: discovery(name), haproxy: {} }])),
    haproxy: {
      global: ['maxconn 1000', 'nbthread 1', `stats socket ${socket} mode 600 level admin`],
      defaults: ['mode http', 'timeout connect 1s', 'timeout client 10s', 'timeout server 10s'],
      ...{ haproxy_path: haproxyPath, config_file_path: file },
      ...{ socket_file_path: socket, master_socket_path: master },
    },
  };
  await writeFile(join(home, 'synapse.yaml'), JSON.stringify(config));
  const argv = [process.execPath, join(dist, 'synapse/main.js'), '-c', join(home, 'synapse.yaml')] as const;
  const child = await startChild([...argv], { name: 'synapse', logFile: join(home, 'synapse.log') });
  await waitFor(child, async () => (await stat(`${file}`).catch(() => undefined)) !== undefined);
  const haproxy = await startChild([haproxyPath, '-W', '-S', `${master}`, '-f', `${file}`], {
    name: 'haproxy',
    logFile: join(home, 'haproxy.log'),
  });
  const stop = async (): Promise<void> => {
    await child.stop();
    await haproxy.stop('SIGTERM', 5_000);
  };
  await waitFor(haproxy, () => accepts(`${socket}`));
  await waitFor(child, () => answers(`http://${admin}/readyz`));
  return { child, stop };
}

async function announce(hosts: readonly string[], home: string, names: readonly string[], servers: number) {
  const etcd = new Etcd3({ hosts: [...hosts] });
  for (const [service, name] of names.entries()) {
    const puts = Array.from({ length: servers }, (_, server) => {
      const instance = makeInstance({ name: `i${server}`, host: `127.1.${service}.${server + 1}`, port: 9000 });
      return etcd.put(`/bench-footprint${home}/${name}/${instance.id}`).value(formatInstance(instance));
    });
    await etcd
      .if('/bench-footprint/none', 'Version', '==', 0)
      .then(...puts)
      .commit();
  }
  etcd.close();
}

/** Starts each program once in each round, one after the other, so that what else the machine does meets all of them. */
async function measureStarts(home: string, options: FootprintOptions): Promise<readonly StartCost[]> {
  const { dist, rounds } = options;
  const [nerve, node] = [join(dist, 'nerve/main.js'), process.execPath];
  const synapse = join(dist, 'synapse/main.js');
  const programs: readonly (readonly [what: string, argv: readonly string[]])[] = [
    ['bare Node: node -e 0', [node, '-e', '0']],
    ['nerve --version', [node, nerve, '--version']],
    ['nerve --help', [node, nerve, '--help']],
    ['nerve status', [node, nerve, 'status']],
    ['health check of the image', ['/bin/sh', '-c', `"$0" "$1" status || [ $? -eq 4 ]`, node, nerve]],
    ['nerve check', [node, nerve, 'check']],
    ['synapse status', [node, synapse, 'status', '-c', join(home, 'ten/synapse.yaml')]],
  ];
  const samples = programs.map((): RunCost[] => []);
  const announcing: { readonly milliseconds: number; readonly cpuMilliseconds: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const [index, [, argv]] of programs.entries()) {
      samples[index]?.push(await runToEnd(argv, { NERVE_CONFIG: join(home, 'nerve/nerve.yaml') }));
    }
    const { stop, ...cost } = await startNerve(join(home, `round-${round}`), options);
    announcing.push(cost);
    await stop();
  }
  const median = (values: readonly number[]): number => quantile(values, 0.5);
  const costs = programs.map(([what], index) => {
    const runs = samples[index] ?? [];
    return {
      what,
      milliseconds: median(runs.map(({ milliseconds }) => milliseconds)),
      cpuMilliseconds: median(runs.map(({ cpuMilliseconds }) => cpuMilliseconds)),
      megabytes: median(runs.map(({ megabytes }) => megabytes)),
    };
  });
  const announced = {
    what: 'nerve, until etcd has the announcement',
    milliseconds: median(announcing.map(({ milliseconds }) => milliseconds)),
    cpuMilliseconds: median(announcing.map((cost) => cost.cpuMilliseconds)),
    megabytes: Number.NaN,
  };
  return [...costs, announced];
}

interface RunCost {
  readonly milliseconds: number;
  readonly cpuMilliseconds: number;
  readonly megabytes: number;
}

/** Runs a program under GNU time. @throws when it fails */
async function runToEnd(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<RunCost> {
  const started = performance.now();
  const format = '\n%U %S %M';
  const child = spawn('/usr/bin/time', ['--format', format, ...argv], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (data) => {
    errors += data;
  });
  const [code] = await once(child, 'close');
  const milliseconds = performance.now() - started;
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}: ${errors}`);
  const [user = 0, system = 0, kilobytes = 0] = (errors.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
  return { milliseconds, cpuMilliseconds: (user + system) * 1_000, megabytes: kilobytes / 1024 };
}
