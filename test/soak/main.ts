/**
 * `npm run soak -- [--minutes 11] [--etcd 3.4] [--seed N]`: nerves, synapses and HAProxies on a real etcd with three members, with faults at
 * random for some minutes; see CONTRIBUTING.md.
 */
import { appendFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../../common/cli/program.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import { type EtcdVersion, etcdVersions } from '../support/etcd/etcd.ts';
import { orUsage, readToolLine } from '../support/tool-options.ts';
import { History } from './history.ts';
import { soakNumbers } from './numbers.ts';
import { runSoak } from './soak.ts';

const usage = `usage: npm run soak -- [--minutes N] [--etcd ${etcdVersions.join('|')}] [--seed N]\n`;

const { numbers, values } = readToolLine({ usage, numbers: soakNumbers, options: { etcd: { type: 'string' } } });
const { etcd = '3.5' } = values;
const etcdVersion = orUsage(() => {
  const found = etcdVersions.find((version) => version === etcd);
  if (found === undefined) throw new UsageError(`--etcd ${etcd}: known are ${etcdVersions.join(', ')}`);
  return found;
});
process.exit(await main(etcdVersion, numbers));

async function main(
  version: EtcdVersion,
  { minutes, seed }: Readonly<Record<keyof typeof soakNumbers, number>>,
): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'smartstack-soak-'));
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort()).once('SIGTERM', () => stop.abort());
  process.stdout.write(`etcd ${version}, ${minutes} minutes, --seed ${seed}, folder ${folder}\n`);
  const file = join(folder, 'history.txt');
  const history = new History((line) => appendFileSync(file, `${line}\n`));
  try {
    await runSoak({ seconds: minutes * 60, etcdVersion: version, seed, folder }, history, stop.signal);
  } catch (error) {
    history.violated(`the run could not go on: ${reasonOf(error)}`);
  }
  const { counts, violations } = history;
  for (const [name, count] of counts) process.stdout.write(`${String(count).padStart(8)}  ${name}\n`);
  if (violations.length === 0) {
    await rm(folder, { recursive: true, force: true });
    process.stdout.write('all properties held\n');
    return 0;
  }
  const most = 20;
  for (const one of violations.slice(0, most)) process.stdout.write(`VIOLATION at ${one}\n`);
  if (violations.length > most) process.stdout.write(`and ${violations.length - most} more\n`);
  process.stdout.write(`the history is in ${file}, the logs of the daemons beside it\n`);
  return 1;
}
