import { mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { exec } from '../../../common/daemon/exec.ts';
import { must } from '../../../deploy/tools/debian/apt.ts';
import { unpackPackages } from '../../../deploy/tools/debian/programs.ts';
import { type Server, startServer } from '../servers/server.ts';
import { removeCgroups } from './cgroups.ts';
import { type Machine, startMachine } from './machine.ts';

/** A Docker engine in a {@link Machine} of its own, without images. */
export interface DockerEngine {
  /** Its API, a unix socket. */
  readonly socket: string;
  /** Where this process reaches published ports. */
  readonly address: string;
  /** Runs the docker client, compose and buildx among its commands. @returns what it printed @throws with its errors */
  docker(args: readonly string[], options?: DockerOptions): Promise<string>;
  /** Stops the engine in order and starts it again: containers end, those with a restart policy come back. */
  restart(): Promise<void>;
  /** Kills it with all containers and removes everything. */
  stop(): Promise<void>;
}

/** How `docker` is run. */
export interface DockerOptions {
  /** Milliseconds, default two minutes. */
  readonly timeoutMs?: number;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** What it reads. */
  readonly input?: string;
  /** Return what it said on stderr too. */
  readonly both?: boolean;
}

/**
 * Starts one from Debian's packages. It touches no other engine, bridge or firewall of this machine, and ends with this
 * process.
 * @throws with the reason, when no engine can run here
 */
export async function startDockerEngine(): Promise<DockerEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'smartstack-docker-'));
  const name = folder.slice(folder.lastIndexOf('/') + 1);
  const socket = join(folder, 'docker.sock');
  let machine: Machine | undefined;
  const stop = async (): Promise<void> => {
    await machine?.stop();
    await removeCgroups(name);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const env = { ...(await programs(folder)), DOCKER_HOST: `unix://${socket}` };
    machine = await startMachine(env);
    const { address, inside } = machine;
    const docker = async (args: readonly string[], options: DockerOptions = {}): Promise<string> => {
      const { timeoutMs = 120_000, cwd, env: more, input, both = false } = options;
      const limits = { timeoutMs, maxOutput: 4 << 20, ...(cwd && { cwd }), ...(input && { input }) };
      const done = await exec(['docker', ...args], { ...limits, env: { ...env, ...more } });
      const { stdout, stderr } = must(done, `docker ${args.join(' ')}`);
      return both ? stdout + stderr : stdout;
    };
    const pidFile = join(folder, 'pid');
    const dockerd = inside([
      'dockerd',
      ...[`--host=unix://${socket}`, `--data-root=${folder}/data`, `--exec-root=${folder}/exec`],
      ...[`--pidfile=${pidFile}`, `--cgroup-parent=/${name}`],
    ]);
    const start = (): Promise<Server> =>
      startServer(dockerd, { env, ready: async () => void (await docker(['info'])) });
    let daemon = await start();
    return {
      socket,
      address,
      docker,
      stop,
      async restart() {
        const kill = inside(['kill', '-TERM', (await readFile(pidFile, 'utf8')).trim()]);
        must(await exec(kill, { env, timeoutMs: 10_000 }), kill.join(' '));
        await daemon.ended;
        daemon = await start();
      },
    };
  } catch (error) {
    await stop();
    throw new Error('no Docker engine can run here', { cause: error });
  }
}

/** The environment in which the engine, its client and all they start are found. */
async function programs(folder: string): Promise<NodeJS.ProcessEnv> {
  const tree = await unpackPackages('sid', [
    ...(['docker.io', 'docker-cli', 'docker-compose', 'docker-buildx', 'containerd', 'runc'] as const),
    ...['iptables', 'iproute2', 'slirp4netns', 'tini', 'tini-static'],
  ]);
  const bin = join(folder, 'bin');
  const config = join(folder, 'config');
  await mkdir(bin);
  await mkdir(config);
  // On a Debian machine, scripts of the packages would do this.
  for (const name of ['iptables', 'ip6tables'])
    await symlink(join(tree, 'usr/sbin/xtables-nft-multi'), join(bin, name));
  await symlink(join(tree, 'usr/libexec/docker/cli-plugins'), join(config, 'cli-plugins'));
  const [libraries = ''] = (await readdir(join(tree, 'usr/lib'))).filter((name) => name.endsWith('-linux-gnu'));
  const path = [bin, join(tree, 'usr/sbin'), join(tree, 'usr/bin'), process.env.PATH ?? ''].join(delimiter);
  return {
    PATH: path,
    HOME: folder,
    DOCKER_CONFIG: config,
    XTABLES_LIBDIR: join(tree, 'usr/lib', libraries, 'xtables'),
  };
}
