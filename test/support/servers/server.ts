import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep } from '../../../common/async/sleep.ts';

/** A server program that runs beside the tests. */
export interface Server {
  readonly pid: number;
  /** All it has said. */
  output(): string;
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  /** Kills it and waits until it is gone. */
  stop(): Promise<void>;
}

/** How a server program is started. */
export interface ServerOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Its standard input stays open as long as this process lives, however that ends: for programs that end with it. */
  readonly tied?: boolean;
  /** It is ready when this resolves. */
  readonly ready: () => Promise<void>;
}

/** Starts a server and waits until it is ready. @throws with what it said, when it ends before, or after a minute */
export async function startServer(argv: readonly [string, ...string[]], options: ServerOptions): Promise<Server> {
  const [program, ...args] = argv;
  const { ready, env, cwd, tied = false } = options;
  const stdin = tied ? 'pipe' : 'ignore';
  const child = spawn(program, args, { env: { ...process.env, ...env }, cwd, stdio: [stdin, 'pipe', 'pipe'] });
  let output = '';
  let over = false;
  const take = (chunk: Buffer): void => {
    output += chunk;
  };
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  const ended = once(child, 'close').then(
    () => undefined,
    (error) => {
      output += error;
    },
  );
  void ended.then(() => {
    over = true;
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  const deadline = performance.now() + 60_000;
  for (;;) {
    const error = await ready().catch((reason: Error) => reason);
    if (error === undefined) return { pid: Number(child.pid), output: () => output, ended, stop };
    if (over || performance.now() > deadline) {
      await stop();
      throw new Error(`${program} did not become ready: ${error.message}\n${output.slice(-4000)}`);
    }
    await sleep(50);
  }
}

/** Resolves when a process listens on the port. */
export async function listens(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}

/** An account without rights: `nobody` of Debian. */
const nobody = 65534;

/**
 * The command as an ordinary user, for programs that refuse to run as root. It may still read everything: a
 * checkout can lie where only root gets.
 */
export function asOrdinaryUser(argv: readonly [string, ...string[]]): readonly [string, ...string[]] {
  if (process.getuid?.() !== 0) return argv;
  const user = [`--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'];
  return ['setpriv', ...user, '--inh-caps=+dac_override', '--ambient-caps=+dac_override', ...argv];
}

/** A folder for a server's data, which it also owns when it runs as an ordinary user. */
export async function dataFolder(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'smartstack-data-'));
  if (process.getuid?.() === 0) await chown(path, nobody, nobody);
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}
