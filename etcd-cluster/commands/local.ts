/** `etcd-cluster/local`: three etcd members on loopback, in the background. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { numberOption } from '../../common/cli/number-option.ts';
import { UsageError } from '../../common/cli/program.ts';
import { formatTable } from '../../common/cli/table.ts';
import { findProgram } from '../../deploy/tools/debian/programs.ts';
import { runCommand } from '../command.ts';
import {
  type BackgroundCluster,
  type BackgroundMember,
  createCluster,
  endMembers,
  findCluster,
  memberRows,
  setFrozen,
  startMembers,
  wipe,
} from '../members/background.ts';

const defaults = { port: 2379, folder: fileURLToPath(new URL('../../../.cache/local-etcd', import.meta.url)) } as const;

const usage = `Usage: etcd-cluster/local COMMAND [OPTIONS]

Runs three etcd members on loopback, in the background: for trying things out, not for production.

  start       start the members that do not run; members keep their data from one start to the next
  status      show the state of each member; exit with 1 when there is no leader
  stop        send all members SIGTERM and wait for their end; 'start' starts them again
  kill N      send member N (1, 2 or 3) SIGKILL; 'start' starts it again
  freeze N    send member N SIGSTOP: its connections stay open, and it answers nothing
  thaw N      send member N SIGCONT
  wipe        kill all members and remove their data

  --dir DIR   the folder for the members' data, default ${defaults.folder}
  --port P    at the first start: the first of nine ports, default ${defaults.port}
  --etcd V    at the first start: the version, 3.4 or 3.5; default: the one on the PATH
  --tls DIR   at the first start: use TLS with the certificates that 'etcd-cluster/certificates' made in DIR for
              etcd1, etcd2 and etcd3
  --help      show this text
`;

await runCommand({
  usage,
  options: { dir: { type: 'string' }, port: { type: 'string' }, etcd: { type: 'string' }, tls: { type: 'string' } },
  async run({ values, words }) {
    const [command, ...rest] = words;
    const folder = resolve(String(values.dir ?? defaults.folder));
    if (command === 'start' && rest.length === 0) return start(folder, values);
    const commands = ['stop', 'status', 'wipe', 'kill', 'freeze', 'thaw'];
    if (command === undefined || !commands.includes(command)) {
      throw new UsageError(`name a command: start, ${commands.join(', ')}`);
    }
    for (const option of ['port', 'etcd', 'tls']) {
      if (values[option] !== undefined) throw new UsageError(`--${option} goes with 'start'`);
    }
    const cluster = await findCluster(folder);
    if (cluster === undefined) throw new Error(`there is no cluster in ${folder}: run 'etcd-cluster/local start'`);
    if (['kill', 'freeze', 'thaw'].includes(command)) await disturb(cluster, command, memberOf(cluster, rest));
    else if (rest.length > 0)
      throw new UsageError(`${command} takes no argument, but got ${rest[0]}: it applies to all members`);
    else if (command === 'stop') await endMembers(cluster, cluster.members, 'SIGTERM');
    else if (command === 'wipe') return wipe(folder, cluster);
    await report(folder, command === 'status');
  },
});

async function start(folder: string, values: Readonly<Record<string, string | boolean | undefined>>): Promise<void> {
  if ((await findCluster(folder)) === undefined) {
    // The cluster takes nine ports from here on.
    const port = numberOption('port', values.port ?? defaults.port, { least: 1, most: 65_527 });
    const version = values.etcd === undefined ? {} : { version: String(values.etcd) };
    const tls = values.tls === undefined ? null : resolve(String(values.tls));
    await createCluster(folder, { etcd: await findProgram('etcd', version), port, tls });
  } else if (values.port !== undefined || values.etcd !== undefined || values.tls !== undefined) {
    throw new UsageError(`there is a cluster in ${folder} already: wipe it first, or name another folder with --dir`);
  }
  await startMembers((await findCluster(folder)) as BackgroundCluster);
  await report(folder, false);
}

async function disturb(cluster: BackgroundCluster, command: string, member: BackgroundMember): Promise<void> {
  if (member.process === undefined) throw new Error(`${member.name} does not run`);
  if (command === 'kill') return endMembers(cluster, [member], 'SIGKILL');
  await setFrozen(cluster, member, command === 'freeze');
}

function memberOf({ members }: BackgroundCluster, [word, ...more]: readonly string[]): BackgroundMember {
  const member = members.find(({ name }) => word === name || word === name.slice('etcd'.length));
  if (member === undefined || more.length > 0) throw new UsageError('name one member: 1, 2 or 3');
  return member;
}

async function report(folder: string, needsLeader: boolean): Promise<void> {
  const cluster = (await findCluster(folder)) as BackgroundCluster;
  const rows = await memberRows(cluster);
  process.stdout.write(formatTable(rows));
  const urls = cluster.members.map(({ url }) => url).join(',');
  process.stdout.write(`\nETCD_HOSTS=${urls}\nETCDCTL_ENDPOINTS=${urls}\n`);
  if (needsLeader && !rows.some(([, , state]) => state === 'leader')) process.exitCode = 1;
}
