import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { Etcd3 } from 'etcd3';
import { sleep } from '../../common/async/sleep.ts';
import { formatInstance } from '../../common/instance.ts';
import { type Child, startChild, waitFor } from '../../deploy/demo/child.ts';
import { accepts, answers } from '../../deploy/demo/probe.ts';
import { findProgram } from '../../deploy/tools/debian/programs.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import { builtFile } from '../support/repository.ts';
import { childrenOf } from './process-cost.ts';
import { defaults, fill, numbered } from './propagation.ts';
import { quantile } from './statistics.ts';

/** How a change in etcd becomes one in HAProxy. */
type Path = 'runtime API' | 'file and reload';

/** What is measured. */
interface PeersOptions {
  readonly folder: string;
  readonly etcdHosts: readonly string[];
  readonly haproxyPath: string;
  /** Servers before the first change. */
  readonly servers: number;
  readonly changes: number;
}

/** Both paths with each number of servers, as rows of a table. */
export async function peersTable(
  options: Omit<PeersOptions, 'servers' | 'haproxyPath'>,
  sizes: readonly number[],
): Promise<readonly (readonly string[])[]> {
  // Its master says when a reload is done; that of 2.6 does not.
  const haproxyPath = await findProgram('haproxy', { version: '3.2' });
  const rows = [['servers', 'how a change comes to HAProxy', 'p50 ms', 'p99 ms', 'processes', 'memory MB']];
  for (const servers of sizes) {
    for (const path of ['runtime API', 'file and reload'] as const) {
      const { samples, processes, megabytes } = await measurePath(path, { ...options, haproxyPath, servers });
      const times = [0.5, 0.99].map((share) => quantile(samples, share).toFixed(1));
      rows.push([String(servers), path, ...times, String(processes), megabytes.toFixed(0)]);
    }
  }
  return rows;
}

/** What one path costs. */
interface PathCost {
  /** From just before an etcd put until HAProxy has the new server in rotation, one for each change, milliseconds. */
  readonly samples: readonly number[];
  /** Processes of HAProxy after the last change, its master included. */
  readonly processes: number;
  /** Their proportional share of memory, which counts shared pages once, MB. */
  readonly megabytes: number;
}

interface Home {
  readonly folder: string;
  readonly socket: string;
  readonly master: string;
  readonly config: string;
  /** The port of a connection that stays open, as those of websockets and databases do. */
  readonly port: number;
  readonly echoPort: number;
}

/** Measures one path: before each change, a client opens a connection through HAProxy and keeps it. */
async function measurePath(path: Path, options: PeersOptions): Promise<PathCost> {
  const { etcdHosts, haproxyPath, servers, changes } = options;
  const folder = join(options.folder, `${path.replaceAll(' ', '-')}-${servers}`);
  await mkdir(folder);
  const prefix = `/peers/${path}/${servers}/`.replaceAll(' ', '-');
  const etcd = new Etcd3({ hosts: [...etcdHosts] });
  const echo = createServer((socket) => socket.on('error', () => {}).pipe(socket));
  await once(echo.listen(0, '127.0.0.1'), 'listening');
  const [socket, master, config] = ['admin.sock', 'master.sock', 'haproxy.cfg'].map((name) => join(folder, name));
  const home = { folder, socket, master, config, port: await freePort(), echoPort: portOf(echo) } as Home;
  const children: Child[] = [];
  const open: Socket[] = [];
  const start = async (name: string, argv: readonly [string, ...string[]]): Promise<Child> => {
    const child = await startChild(argv, { name, logFile: join(folder, `${name}.log`) });
    children.push(child);
    return child;
  };
  try {
    await fill(etcd, prefix, { services: 1, each: servers });
    await writeFile(home.config, head(home));
    const haproxy = await start('haproxy', [haproxyPath, '-W', '-S', home.master, '-f', home.config]);
    await waitFor(haproxy, () => accepts(home.socket));
    if (path === 'runtime API') await startSynapse(home, etcdHosts, prefix, { start, haproxyPath });
    else await startReloads(home, etcdHosts, prefix, start);
    await inRotation(home.socket, servers);
    const samples: number[] = [];
    for (let change = 1; change <= changes; change++) {
      open.push(await keepOpen(home.port));
      const instance = numbered(1, servers + change);
      const before = performance.now();
      await etcd.put(`${prefix}api-1/${instance.id}`).value(formatInstance(instance));
      await inRotation(home.socket, servers + change);
      samples.push(performance.now() - before);
    }
    return { samples, ...(await costOf(haproxy.pid)) };
  } finally {
    for (const connection of open) connection.destroy();
    for (const child of children.reverse()) await child.stop('SIGTERM', 5_000);
    echo.close();
    etcd.close();
  }
}

type Start = (name: string, argv: readonly [string, ...string[]]) => Promise<Child>;

/** haproxy.cfg up to the servers of the only service. */
function head({ socket, port, echoPort }: Home): string {
  const lines = [
    'global',
    `\tstats socket ${socket} mode 600 level admin`,
    ...defaults,
    ...keepSection(port, echoPort),
  ];
  return `${[...lines, 'backend api-1', ''].join('\n')}`;
}

function keepSection(port: number, echoPort: number): readonly string[] {
  return ['listen keep', `\tbind 127.0.0.1:${port}`, '\tmode tcp', '\ttimeout client 1h', '\ttimeout server 1h'].concat(
    `\tserver echo 127.0.0.1:${echoPort}`,
  );
}

async function startReloads(home: Home, hosts: readonly string[], prefix: string, start: Start): Promise<void> {
  const headFile = join(home.folder, 'head');
  await writeFile(headFile, head(home));
  const main = builtFile('test/bench/reload-path.js');
  const argv = [process.execPath, main, hosts.join(','), prefix, headFile, home.config, home.master] as const;
  const child = await start('reload-path', argv);
  await waitFor(child, () => child.output().includes('ready'));
}

async function startSynapse(
  home: Home,
  hosts: readonly string[],
  prefix: string,
  { start, haproxyPath }: { readonly start: Start; readonly haproxyPath: string },
): Promise<void> {
  const admin = `127.0.0.1:${await freePort()}`;
  const [title = '', ...keep] = keepSection(home.port, home.echoPort);
  const file = join(home.folder, 'synapse.json');
  const configuration = {
    etcd: { hosts },
    admin: { listen: admin, control_socket: join(home.folder, 'synapse.sock') },
    services: {
      'api-1': { discovery: { method: 'etcd', path: `${prefix}api-1` }, haproxy: { listen: ['mode http'] } },
    },
    haproxy: {
      global: ['maxconn 4096'],
      defaults: defaults.slice(1),
      extra_sections: { [title]: keep },
      haproxy_path: haproxyPath,
      config_file_path: home.config,
      socket_file_path: home.socket,
      master_socket_path: home.master,
    },
  };
  await writeFile(file, JSON.stringify(configuration));
  const synapse = await start('synapse', [process.execPath, builtFile('synapse/main.js'), '-c', file]);
  await waitFor(synapse, () => answers(`http://${admin}/readyz`), 60_000);
}

/** Asks over a connection of its own each time, because each reload begins another process behind the socket. */
async function inRotation(socketPath: string, id: number): Promise<void> {
  if (id === 0) return;
  const deadline = performance.now() + 30_000;
  while (performance.now() < deadline) {
    const row = (await ask(socketPath, `show stat api-1 4 ${id}`))
      .split('\n')
      .find((line) => line.startsWith('api-1,'));
    const [, name = '', ...columns] = row?.split(',') ?? [];
    const status = columns[15] ?? '';
    if (name.startsWith(numbered(1, id).name) && (status === 'no check' || status.startsWith('UP'))) return;
  }
  throw new Error(`server ${id} did not come into rotation within 30 s`);
}

async function ask(socketPath: string, command: string): Promise<string> {
  const socket = connect(socketPath);
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.on('error', () => {});
  socket.write(`${command}\n`);
  await once(socket, 'close');
  return answer;
}

async function keepOpen(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write('hello');
  await once(socket, 'data');
  return socket;
}

/** The master and its workers, half a second after the last change. */
async function costOf(master: number): Promise<Omit<PathCost, 'samples'>> {
  await sleep(500);
  const children = await childrenOf(master);
  const shares = await Promise.all(
    [master, ...children].map(async (pid) => {
      const kilobytes = /^Pss:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1];
      return Number(kilobytes) / 1024;
    }),
  );
  return { processes: shares.length, megabytes: shares.reduce((sum, share) => sum + share, 0) };
}

function portOf(server: { address(): unknown }): number {
  return (server.address() as { readonly port: number }).port;
}
