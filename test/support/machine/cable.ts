import { exec } from '../../../common/daemon/exec.ts';
import { must } from '../../../deploy/tools/debian/apt.ts';
import { patienceMs } from '../eventually.ts';

/** A network cable from this machine to another network of it. */
export interface Cable {
  /** The address of this end, which only the other end reaches. */
  readonly here: string;
  /** The address of the other end. */
  readonly there: string;
}

let cables = 0;

/**
 * Lays a cable into the network of a process, a namespace of its own. It goes with that namespace. `PATH` in `env` has ip.
 * @throws when this is not root, or the kernel refuses
 */
export async function layCable(pid: number, env: NodeJS.ProcessEnv = process.env): Promise<Cable> {
  const run = async (argv: [string, ...string[]]) =>
    must(await exec(argv, { env, timeoutMs: patienceMs }), argv.join(' '));
  const ip = (...args: string[]) => run(['ip', ...args]);
  const ipThere = (...args: string[]) => run(inNetworkOf(pid, 'ip', ...args));
  const name = `sm${process.pid.toString(36)}${cables.toString(36)}`;
  const [here, there] = addresses();
  cables += 1;
  await ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'in', 'netns', `${pid}`);
  await ip('address', 'add', `${here}/30`, 'dev', name);
  await ip('link', 'set', name, 'up');
  await ipThere('address', 'add', `${there}/30`, 'dev', 'in');
  await ipThere('link', 'set', 'in', 'up');
  await ipThere('link', 'set', 'lo', 'up');
  return { here, there };
}

/** The command line that runs a command in the network of a process. */
export function inNetworkOf(pid: number, ...argv: readonly string[]): [string, ...string[]] {
  return ['nsenter', `--target=${pid}`, '--net', '--', ...argv];
}

/** Two addresses that are hardly in use: one network of four for each cable of each process. */
function addresses(): [here: string, there: string] {
  const network = ((process.pid * 8 + cables) % 0x4000) * 4;
  const address = (host: number): string => `10.213.${(network + host) >> 8}.${(network + host) & 0xff}`;
  return [address(1), address(2)];
}
