/**
 * `npm run bench [-- --servers 10,5000 --changes 200 --services 1000 --seconds 30]`: how long a change takes from etcd to
 * HAProxy, beside the least that any program on this machine would take; and what one nerve takes of its host and of etcd
 * while nothing changes. `--servers ''` or `--services 0` leaves one of the two out.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findProgram } from '../../deploy/debian.ts';
import { startCluster } from '../../etcd-cluster/local.ts';
import { measureBursts } from './burst.ts';
import { measureNerve } from './nerve.ts';
import { measurePropagation } from './propagation.ts';
import { formatTable, quantile } from './statistics.ts';

const { values } = parseArgs({
  options: {
    servers: { type: 'string', default: '10,5000' },
    changes: { type: 'string', default: '200' },
    services: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '30' },
  },
});
const sizes = values.servers
  .split(',')
  .filter((size) => size !== '')
  .map(Number);
const services = Number(values.services);
const seconds = Number(values.seconds);
const changes = Number(values.changes);
/** Services and servers in each, for changes that come at once. */
const shapes = [
  [1, 10],
  [1, 1_000],
  [1, 5_000],
  [5_000, 10],
] as const;

const folder = await mkdtemp(join(tmpdir(), 'smartstack-bench-'));
const haproxyPath = await findProgram('haproxy');
const etcd = await startCluster({ size: 3, etcd: await findProgram('etcd'), dataDir: join(folder, 'etcd') });
const milliseconds = (value: number): string => value.toFixed(2);
const rows = [['servers', 'floor p50', 'synapse p50', 'ratio', 'floor p99', 'synapse p99', 'ratio']];
try {
  for (const servers of sizes) {
    const home = join(folder, String(servers));
    await mkdir(home);
    const { floor, synapse } = await measurePropagation({
      folder: home,
      etcdHosts: etcd.urls,
      haproxyPath,
      servers,
      changes,
    });
    const cells = [0.5, 0.99].flatMap((share) => {
      const [least, ours] = [quantile(floor, share), quantile(synapse, share)];
      return [milliseconds(least), milliseconds(ours), `${(ours / least).toFixed(2)}x`];
    });
    rows.push([String(servers), ...cells]);
  }
  if (sizes.length > 0) {
    process.stdout.write(`From an etcd put to HAProxy having the new server in rotation, ms, ${changes} changes, `);
    process.stdout.write(`three etcd members and both HAProxy on this machine:\n\n${formatTable(rows)}\n\n`);
  }
  if (services > 0) await nerveAtRest();
  const bursts = [['services x servers', 'in step', 'one', 'CPU of one', '100 at once', '1000 at once', 'reloads']];
  for (const [services, servers] of shapes) {
    const { inStep, one, many, reloads } = await measureBursts(services, servers);
    const times = [inStep, one.live, one.cpu, ...many.map(({ live }) => live)].map(milliseconds);
    bursts.push([`${services} x ${servers}`, ...times, String(reloads)]);
  }
  process.stdout.write(
    "\nFrom a change in synapse's memory to HAProxy's answers, without etcd, ms; CPU with the file's:\n\n",
  );
  process.stdout.write(`${formatTable(bursts)}\n`);
} finally {
  await etcd.stopAll();
  await rm(folder, { recursive: true, force: true });
}

async function nerveAtRest(): Promise<void> {
  const ttl = 10;
  const load = await measureNerve({ folder, etcdHosts: etcd.urls, services, seconds, ttl });
  process.stdout.write(
    `One nerve, ${services} services with one http check per second each, at rest for ${seconds} s, `,
  );
  process.stdout.write(`ttl ${ttl} s:\n\n`);
  const lines = [
    ['probes per second', load.probesPerSecond.toFixed(0)],
    ['failed probes', String(load.failedProbes)],
    ['CPU, share of one core', `${load.cpuPercent.toFixed(0)} %`],
    ['resident memory', `${load.residentMegabytes.toFixed(0)} MB`],
    ['latest start of a probe, less than', `${load.worstLatenessBelow * 1000} ms`],
    ['announced', String(load.announced)],
    ['etcd writes per second', load.writesPerSecond.toFixed(2)],
    ['etcd reads per second, 100 records each', load.readsPerSecond.toFixed(2)],
    ['etcd keepalives per second', load.keepalivesPerSecond.toFixed(2)],
  ];
  process.stdout.write(`${formatTable(lines)}\n`);
}
