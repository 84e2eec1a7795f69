import { setMaxListeners } from 'node:events';
import { reasonOf } from '../../../common/daemon/log.ts';
import { createEtcdClient } from '../../../common/etcd/client/client.ts';
import { DockerClient } from '../../../common/net/docker.ts';
import { openSocket } from '../../../common/net/socket.ts';
import { StatsdSink } from '../../../common/statsd/sink.ts';
import { openSession } from '../../../common/zookeeper/session.ts';
import { announcedHost } from '../../../nerve/config/host.ts';
import { S3Poller } from '../../../synapse/discovery/multi/resolvers/s3_toggle/object.ts';
import { runSource } from '../daemons/source-run.ts';
import { startDnsServer } from '../servers/dns-server.ts';
import { udpServer } from '../servers/udp-server.ts';
import { until } from '../until.ts';
import { recordingLog } from './recording-log.ts';

// Runs where the only name server is at 127.0.0.1: answers there for one name and for no other, and connects to many names in
// one way, which the argument names. Prints the outcome that came first: `the good name`, when the others delayed nothing.

/** More than Node.js and libuv look up at the same time. */
const silent = Array.from({ length: 6 }, (_, index) => `silent${index}.test`);
const good = 'good.test';
/** Nothing listens there: the network is new. */
const port = 9_999;
const trusted = { ssl_verify: true, ssl_ca: null, ssl_cert: null, ssl_key: null, ssl_server_name: null };
const { log } = recordingLog();
const never = new AbortController().signal;
setMaxListeners(0, never);

/** Waits until a source fails for the first time. @throws how it failed */
async function failure(method: string, options: object): Promise<void> {
  const run = await runSource(method, options);
  await until(() => run.lines.length > 0);
  throw new Error(JSON.stringify(run.lines[0]));
}

/** Connects to a name; settles when that has failed, or never. */
const ways: Readonly<Record<string, (name: string) => Promise<unknown>>> = {
  etcd: (name) =>
    createEtcdClient({ hosts: [name] }, { log }, never).call((rpc) => rpc.maintenance.status({}), {
      attemptMs: 60_000,
      totalMs: 60_000,
      maxTries: 1,
    }),
  checks: (host) => openSocket({ host, port }, never),
  resolve_host: (host) => announcedHost(host, true),
  statsd: async (host) => {
    const { log: own, lines } = recordingLog();
    const server = await udpServer();
    const sink = new StatsdSink({ host, port: server.port }, { log: own });
    await until(() => {
      sink.send(['a:1|c']);
      return lines.length + server.lines.length > 0;
    });
  },
  'a container engine': (host) =>
    new DockerClient({ host, port }).json({ path: '/containers/json' }, { maxBytes: 1 }, never),
  'a container engine over TLS': (host) =>
    new DockerClient({ host, port, tls: trusted }).json({ path: '/containers/json' }, { maxBytes: 1 }, never),
  ZooKeeper: (host) => openSession({ host, port, timeoutMs: 60_000 }, never),
  Marathon: (name) =>
    failure('marathon', { marathon_api_url: `http://${name}:${port}`, application_name: 'api', timeout: '60s' }),
  EC2: (name) =>
    failure('ec2tag', {
      endpoint: `https://${name}:${port}`,
      port,
      tag_name: 'service',
      tag_value: name,
      aws_region: 'us-east-1',
      aws_access_key_id: name,
      aws_secret_access_key: 'secret',
      timeout: '60s',
    }),
  S3: async (name) => {
    Object.assign(process.env, { AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' });
    process.env.AWS_ENDPOINT_URL = `https://${name}:${port}`;
    const { log: own, lines } = recordingLog();
    void new S3Poller({ bucket: 'bucket', key: name }, { intervalMs: 60_000, log: own }).run(never);
    await until(() => lines.length > 0);
    throw new Error(JSON.stringify(lines[0]));
  },
};

const way = ways[process.argv[2] ?? ''];
if (way === undefined) throw new Error(`no such way to connect: ${process.argv[2]}`);
const dns = await startDnsServer({ port: 53 });
dns.zone.set(`${good} A`, [{ address: '127.0.0.1' }]);
for (const name of silent) {
  for (const type of ['A', 'AAAA']) dns.zone.set(`${name} ${type}`, 'hang');
}
const outcomes = silent.map((name) => way(name).then(() => `${name} is connected`, reasonOf));
await until(() => dns.questions.length > 0);
const answered = way(good).then(
  () => 'the good name',
  (error) => (/refused/i.test(reasonOf(error)) ? 'the good name' : reasonOf(error)),
);
process.stdout.write(await Promise.race([...outcomes, answered]));
process.exit(0);
