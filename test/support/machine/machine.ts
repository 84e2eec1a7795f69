import { readFile } from 'node:fs/promises';
import { exec } from '../../../common/daemon/exec.ts';
import { must } from '../../../deploy/tools/debian/apt.ts';
import { eventually, patienceMs } from '../eventually.ts';
import { type Server, startServer } from '../servers/server.ts';
import { layCable } from './cable.ts';

/** A machine within this one: processes, mounts and network of its own, of which nothing is left when it is stopped. */
export interface Machine {
  /** Where this process reaches it. */
  readonly address: string;
  /** The command line that runs a command in it. */
  inside(argv: readonly string[]): [string, ...string[]];
  /** Kills everything in it. */
  stop(): Promise<void>;
}

/**
 * Starts one that reaches out as far as this process does (through slirp4netns, so that nothing is set up here but one
 * end of a cable) and ends with this process. `PATH` in `env` has ip, slirp4netns and tini.
 * @throws when this is not root, or the kernel refuses
 */
export async function startMachine(env: NodeJS.ProcessEnv): Promise<Machine> {
  if (process.getuid?.() !== 0) throw new Error('a machine of its own needs root: namespaces, mounts, a bridge');
  const unshare = ['unshare', '--mount', '--net', '--pid', '--mount-proc', '--fork', '--kill-child'] as const;
  const parts: Server[] = [];
  const stop = async (): Promise<void> => {
    for (const part of parts.reverse()) await part.stop();
  };
  try {
    const keeper = await startServer([...unshare, 'tini', '--', 'cat'], { env, tied: true, ready: async () => {} });
    parts.push(keeper);
    const pid = await childOf(keeper.pid);
    const inside = (argv: readonly string[]): [string, ...string[]] => [
      ...(['nsenter', `--target=${pid}`, '--mount', '--net', '--pid', '--'] as const),
      ...argv,
    ];
    const run = async (argv: [string, ...string[]]) =>
      must(await exec(argv, { env, timeoutMs: patienceMs }), argv.join(' '));
    const slirp = ['slirp4netns', '--configure', '--disable-host-loopback', '--exit-fd=0', `${pid}`, 'out'] as const;
    const ready = async (): Promise<void> => {
      if (!(await run(inside(['ip', 'address', 'show', 'out']))).stdout.includes(' inet '))
        throw new Error('no address');
    };
    parts.push(await startServer(slirp, { env, tied: true, ready }));

    const { there } = await layCable(pid, env);
    return { address: there, inside, stop };
  } catch (error) {
    await stop();
    throw new Error('cannot start a machine of its own', { cause: error });
  }
}

/** The only child of a process. @throws when it has none within a while */
export async function childOf(pid: number): Promise<number> {
  let child = 0;
  await eventually(async () => {
    child = Number((await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim());
    if (!(child > 0)) throw new Error(`process ${pid} has no child`);
  });
  return child;
}
