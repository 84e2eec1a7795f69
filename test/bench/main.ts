/**
 * `npm run bench [-- --servers 10,5000 --changes 200]`: how long a change takes from etcd to HAProxy, beside the least
 * that any program on this machine would take.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findProgram } from '../../deploy/debian.ts';
import { startCluster } from '../../etcd-cluster/local.ts';
import { measurePropagation } from './propagation.ts';
import { formatTable, quantile } from './statistics.ts';

const { values } = parseArgs({
  options: { servers: { type: 'string', default: '10,5000' }, changes: { type: 'string', default: '200' } },
});
const sizes = values.servers.split(',').map(Number);
const changes = Number(values.changes);

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
  process.stdout.write(`From an etcd put to HAProxy having the new server in rotation, ms, ${changes} changes, `);
  process.stdout.write(`three etcd members and both HAProxy on this machine:\n\n${formatTable(rows)}\n`);
} finally {
  await etcd.stopAll();
  await rm(folder, { recursive: true, force: true });
}
