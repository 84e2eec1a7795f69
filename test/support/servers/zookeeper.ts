import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPackages, findProgram } from '../../../deploy/tools/debian/programs.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { until } from '../until.ts';
import type { Certificate } from './certificates.ts';

/** A real ZooKeeper server. What it holds survives a restart. */
export interface ZookeeperServer {
  /** `HOST:PORT`, the same after a restart. */
  readonly address: string;
  /** The same with TLS; empty without {@link ZookeeperTls}. */
  readonly secureAddress: string;
  start(): Promise<void>;
  /** Connections to it at this moment, that of the question included. */
  connections(): Promise<number>;
  /** As by a power cut. */
  kill(): Promise<void>;
  /** Stops and continues all of it, as a machine that hangs. */
  freeze(): void;
  thaw(): void;
  /** Ends it and removes what it holds. */
  close(): Promise<void>;
}

const jars = [
  'zookeeper zookeeper-jute slf4j-api slf4j-nop metrics-core snappy-java commons-io',
  'netty-handler netty-common netty-buffer netty-transport netty-codec netty-resolver',
  'netty-transport-native-epoll netty-transport-native-unix-common',
]
  .join(' ')
  .split(' ');
const packages = [
  'libzookeeper-java',
  'libslf4j-java',
  'libdropwizard-metrics-java',
  'libsnappy-java',
  'libcommons-io-java',
  'libnetty-java',
];

/** Paths of PEM files with which a server speaks TLS and asks for its clients' certificates. */
export interface ZookeeperTls extends Certificate {
  readonly ca: string;
}

/** Debian's ZooKeeper, on a free port of loopback. Its first start on a machine unpacks it. */
export async function startZookeeper(tls?: ZookeeperTls): Promise<ZookeeperServer> {
  const java = await findProgram('java');
  const root = await findPackages('zookeeper', packages);
  const folder = await mkdtemp(join(tmpdir(), 'zookeeper-'));
  const port = await freePort();
  const securePort = await freePort();
  const config = join(folder, 'zoo.cfg');
  const lines = [
    'tickTime=500',
    `dataDir=${folder}`,
    `clientPort=${port}`,
    'clientPortAddress=127.0.0.1',
    'admin.enableServer=false',
    'maxSessionTimeout=60000',
    ...(tls === undefined ? [] : await secureLines(tls, securePort, folder)),
  ];
  await writeFile(config, `${lines.join('\n')}\n`);
  const classes = jars.map((name) => join(root, 'usr/share/java', `${name}.jar`)).join(':');
  const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain';
  const options = ['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Dzookeeper.forceSync=no'];
  let child: ChildProcess | undefined;
  let output = '';

  const server: ZookeeperServer = {
    address: `127.0.0.1:${port}`,
    secureAddress: tls === undefined ? '' : `127.0.0.1:${securePort}`,
    async start() {
      const started = spawn(java, [...options, '-cp', classes, main, config], { stdio: ['ignore', 'pipe', 'pipe'] });
      child = started;
      for (const stream of [started.stdout, started.stderr]) stream?.on('data', (chunk) => (output += chunk));
      await until(async () => {
        if (started.exitCode !== null)
          throw new Error(`ZooKeeper ended with ${started.exitCode}: ${output.slice(-2000)}`);
        return /Zookeeper version/.test(await ask(port, 'srvr'));
      });
    },
    async connections() {
      return Number(/Connections: (\d+)/.exec(await ask(port, 'srvr'))?.[1]);
    },
    async kill() {
      const running = child;
      child = undefined;
      if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
      running.kill('SIGKILL');
      await once(running, 'exit');
    },
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    async close() {
      await server.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}

async function secureLines({ cert, key, ca }: ZookeeperTls, port: number, folder: string): Promise<readonly string[]> {
  // ZooKeeper wants both in one file.
  const store = join(folder, 'server.pem');
  await writeFile(store, `${await readFile(key, 'utf8')}${await readFile(cert, 'utf8')}`, { mode: 0o600 });
  return [
    'serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory',
    `secureClientPort=${port}`,
    'secureClientPortAddress=127.0.0.1',
    ...[`ssl.keyStore.location=${store}`, 'ssl.keyStore.type=PEM'],
    ...[`ssl.trustStore.location=${ca}`, 'ssl.trustStore.type=PEM'],
    'ssl.clientAuth=need',
  ];
}

/** One of ZooKeeper's four-letter words; empty when there is no answer. */
function ask(port: number, word: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(word));
    socket.setTimeout(2_000, () => socket.destroy());
    socket.on('data', (chunk) => (answer += chunk));
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}
