/** `etcd-cluster/local`: three etcd members on loopback, in the background. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UsageError } from '../../common/cli/program.ts';
import { formatTable } from '../../common/cli/table.ts';
import { findProgram } from '../../deploy/tools/debian/programs.ts';
import { runCommand } from '../command.ts';
import {
  type BackgroundCluster,
  type BackgroundMember,
  describe,
  endMembers,
  freeze,
  lookUp,
  prepare,
  startMembers,
  wipe,
} from '../members/background.ts';

const defaults = { port: 2379, folder: fileURLToPath(new URL('../../../.cache/local-etcd', import.meta.url)) } as const;

const usage = `Usage: etcd-cluster/local COMMAND [OPTIONS]

Three etcd members on loopback, in the background: for trying things out, not for production.

  start       start the members that do not run; their data are kept from one start to the next
  status      what each member does; exits with 1 when there is no leader
  stop        end them in order; 'start' brings them back
  kill N      SIGKILL to member N (1, 2 or 3); 'start' brings it back
  freeze N    SIGSTOP: its connections stay open and nothing answers
  thaw N      SIGCONT
  wipe        kill them and remove all data

  --dir DIR   where their data are, default ${defaults.folder}
  --port P    at the first start: the first of nine ports, default ${defaults.port}
  --etcd V    at the first start: the version, 3.4 or 3.5, default what is on the PATH
  --tls DIR   at the first start: talk TLS, with what 'etcd-cluster/certificates' made in DIR for etcd1, etcd2, etcd3
  --help      this text
`;

await runCommand({
  usage,
  options: { dir: { type: 'string' }, port: { type: 'string' }, etcd: { type: 'string' }, tls: { type: 'string' } },
  async run({ values, words }) {
    const [command, ...rest] = words;
    const folder = resolve(String(values.dir ?? defaults.folder));
    if (command === 'start' && rest.length === 0) return start(folder, values);
    const known = ['stop', 'status', 'wipe', 'kill', 'freeze', 'thaw'];
    if (command === undefined || !known.includes(command)) {
      throw new UsageError(`name a command: start, ${known.join(', ')}`);
    }
    for (const option of ['port', 'etcd', 'tls']) {
      if (values[option] !== undefined) throw new UsageError(`--${option} goes with 'start'`);
    }
    const cluster = await lookUp(folder);
    if (cluster === undefined) throw new Error(`there is no cluster in ${folder}: start one`);
    if (['kill', 'freeze', 'thaw'].includes(command)) await disturb(cluster, command, memberOf(cluster, rest));
    else if (rest.length > 0) throw new UsageError(`${command} takes no ${rest[0]}: it is for all members`);
    else if (command === 'stop') await endMembers(cluster, cluster.members, 'SIGTERM');
    else if (command === 'wipe') return wipe(folder, cluster);
    await report(folder, command === 'status');
  },
});

async function start(folder: string, values: Readonly<Record<string, string | boolean | undefined>>): Promise<void> {
  if ((await lookUp(folder)) === undefined) {
    const port = Number(values.port ?? defaults.port);
    if (!Number.isInteger(port) || port < 1 || port > 65_527) throw new UsageError(`--port ${values.port}: not a port`);
    const version = values.etcd === undefined ? {} : { version: String(values.etcd) };
    const tls = values.tls === undefined ? null : resolve(String(values.tls));
    await prepare(folder, { etcd: await findProgram('etcd', version), port, tls });
  } else if (values.port !== undefined || values.etcd !== undefined || values.tls !== undefined) {
    throw new UsageError(`${folder} has a cluster already: wipe it first, or name another folder with --dir`);
  }
  await startMembers((await lookUp(folder)) as BackgroundCluster);
  await report(folder, false);
}

async function disturb(cluster: BackgroundCluster, command: string, member: BackgroundMember): Promise<void> {
  if (member.process === undefined) throw new Error(`${member.name} does not run`);
  if (command === 'kill') return endMembers(cluster, [member], 'SIGKILL');
  await freeze(cluster, member, command === 'freeze');
}

function memberOf({ members }: BackgroundCluster, [word, ...more]: readonly string[]): BackgroundMember {
  const member = members.find(({ name }) => word === name || word === name.slice('etcd'.length));
  if (member === undefined || more.length > 0) throw new UsageError('name one member: 1, 2 or 3');
  return member;
}

async function report(folder: string, strict: boolean): Promise<void> {
  const cluster = (await lookUp(folder)) as BackgroundCluster;
  const rows = await describe(cluster);
  process.stdout.write(formatTable(rows));
  const urls = cluster.members.map(({ url }) => url).join(',');
  process.stdout.write(`\nETCD_HOSTS=${urls}\nETCDCTL_ENDPOINTS=${urls}\n`);
  if (strict && !rows.some(([, , state]) => state === 'leader')) process.exitCode = 1;
}
