import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { exec } from '../../../common/daemon/exec.ts';
import { must } from '../../../deploy/tools/debian/apt.ts';
import { findSystem, unpackPackages } from '../../../deploy/tools/debian/programs.ts';
import { eventually } from '../eventually.ts';
import { startServer } from '../servers/server.ts';
import { removeCgroups } from './cgroups.ts';
import { childOf, type Machine, startMachine } from './machine.ts';

/** A Debian 12 that systemd has booted, as if it were a machine of its own; what is changed in it is gone at the end. */
export interface DebianHost {
  /** Where this process reaches it. */
  readonly address: string;
  /** The command line that runs a command in it. */
  inside(argv: readonly string[]): [string, ...string[]];
  /** Runs a line of shell in it, as root. @returns what it printed @throws with its errors */
  run(script: string, options?: RunOptions): Promise<string>;
  /** A property of a unit of systemd: `MainPID`. */
  property(unit: string, name: string): Promise<string>;
  /** Kills it. */
  stop(): Promise<void>;
}

/** How a script is run on the host. */
export interface RunOptions {
  /** Milliseconds, default one minute. */
  readonly timeoutMs?: number;
  /** What it reads. */
  readonly input?: string;
}

/** What the host has besides Debian. */
export interface HostOptions {
  /** Path in it → a file or folder of this machine that is seen there, and cannot be changed. */
  readonly mounts?: Readonly<Record<string, string>>;
}

/** What is in it from the start: for all tests the same, so that it is set up once. */
const packages = [
  ...(['systemd', 'systemd-sysv', 'dbus', 'ca-certificates', 'procps', 'curl'] as const),
  ...['python3-apt', 'ansible-core', 'ansible-lint', 'yamllint', 'shellcheck'],
];

/**
 * Makes namespaces a host: its root is Debian's with everything new in memory, its devices are the harmless ones, its
 * control groups begin where this process is. The host's network is that of the machine around it.
 */
const boot = `
set -eu
root=$1 cgroup=$2; shift 2
mount -t tmpfs tmpfs /mnt
mkdir /mnt/new /mnt/work /mnt/root /mnt/cgroup
mount -t cgroup2 cgroup2 /mnt/cgroup
mkdir -p "/mnt/cgroup/$cgroup"
echo $$ >"/mnt/cgroup/$cgroup/cgroup.procs"
umount /mnt/cgroup
mount -t overlay overlay -o "lowerdir=$root,upperdir=/mnt/new,workdir=/mnt/work" /mnt/root
cd /mnt/root
cat /etc/resolv.conf >etc/resolv.conf
echo host >etc/hostname
while [ $# -gt 0 ]; do
  mkdir -p "./\${1%/*}"
  if [ -d "$2" ]; then mkdir -p "./$1"; else touch "./$1"; fi
  mount --bind "$2" "./$1"
  mount -o remount,bind,ro "./$1"
  shift 2
done
exec unshare --mount --pid --uts --ipc --cgroup --fork --kill-child sh -c '
  set -eu
  mount -t proc proc proc
  mount -t sysfs -o ro sysfs sys
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  mount -t tmpfs -o mode=755 tmpfs dev
  for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
  mkdir dev/pts dev/shm
  mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
  ln -s pts/ptmx dev/ptmx
  mount -t tmpfs -o mode=755 tmpfs run
  pivot_root . mnt
  umount -l /mnt
  exec env -i container=other LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --show-status=no
'`;

/** Boots one. @throws with the reason, when it cannot be had here */
export async function startHost({ mounts = {} }: HostOptions = {}): Promise<DebianHost> {
  const system = await findSystem('bookworm', packages);
  const tools = await unpackPackages('bookworm', ['slirp4netns', 'iproute2', 'tini']);
  const env = { PATH: `${tools}/usr/bin:${tools}/bin:${tools}/sbin:${process.env.PATH}` };
  const name = `smartstack-host-${process.pid}-${hosts++}`;
  let machine: Machine | undefined;
  const stop = async (): Promise<void> => {
    await machine?.stop();
    await removeCgroups(name);
  };
  try {
    machine = await startMachine(env);
    const argv = ['sh', '-c', boot, 'boot', system, name, ...Object.entries(mounts).flat()];
    const init = await startServer(machine.inside(argv), { env, ready: async () => {} });
    let pid = 0;
    const inside = (command: readonly string[]): [string, ...string[]] => [
      ...(['nsenter', `--target=${pid}`, '--mount', '--net', '--pid', '--uts', '--ipc', '--cgroup', '--'] as const),
      ...[
        'env',
        '-i',
        'LANG=C.UTF-8',
        'HOME=/root',
        'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      ],
      ...command,
    ];
    const run = async (script: string, { timeoutMs = 60_000, input }: RunOptions = {}): Promise<string> => {
      const options = { timeoutMs, maxOutput: 4 << 20, ...(input !== undefined && { input }) };
      return must(await exec(inside(['sh', '-ec', script]), options), script).stdout;
    };
    await eventually(async () => {
      // nsenter's child is unshare, whose child is systemd.
      pid = await childOf(await childOf(init.pid));
      const state = await readFile(`/proc/${pid}/comm`, 'utf8');
      if (state.trim() !== 'systemd') throw new Error(`process ${pid} is ${state}\n${init.output()}`);
      await run('systemctl is-system-running --wait >/dev/null || systemctl is-system-running | grep -q degraded');
    });
    const property = async (unit: string, name: string): Promise<string> =>
      (await run(`systemctl show --property=${name} --value ${unit}`)).trim();
    return { address: machine.address, inside, run, property, stop };
  } catch (error) {
    await stop();
    throw new Error('no Debian host can be booted here', { cause: error });
  }
}

/** Waits until the api answers on the host's port 80: through HAProxy. */
export async function untilApiAnswers({ address }: DebianHost): Promise<void> {
  await eventually(async () => {
    const answer = await fetch(`http://${address}/`, { signal: AbortSignal.timeout(10_000) });
    assert.equal((await answer.text()).trim(), 'the api');
  });
}

let hosts = 0;
