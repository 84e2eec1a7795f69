import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { sleep } from '../../common/async/supervise.ts';

export interface ChildOptions {
  /** Shown in messages: 'synapse', 'nerve of api-1'. */
  readonly name: string;
  /** Where its output goes; the end of it is quoted when it dies. */
  readonly logFile: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** A process of ours: it ends with us, however we end. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly running: boolean;
  /** Everything it has printed so far. */
  output(): string;
  signal(signal: NodeJS.Signals): void;
  /** Asks it to end, insists with SIGKILL after `grace` milliseconds, and resolves with its exit code when it is gone. */
  stop(signal?: NodeJS.Signals, grace?: number): Promise<number | null>;
}

/** util-linux's setpriv has the kernel end the child when its parent dies, even by SIGKILL. */
const withParent = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL', '--'] : [];

/** Starts a process. @throws when it cannot be started at all. */
export async function startChild(argv: readonly [string, ...string[]], options: ChildOptions): Promise<Child> {
  const { name, logFile, env } = options;
  const [program, ...args] = [...withParent, ...argv] as [string, ...string[]];
  const log = openSync(logFile, 'a');
  // A group of its own: Ctrl-C reaches only us, and we end the others in the right order.
  const child = spawn(program, args, { detached: true, stdio: ['ignore', log, log], env: { ...process.env, ...env } });
  closeSync(log);
  const pid = await started(child, name);
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const running = (): boolean => child.exitCode === null && child.signalCode === null;
  const output = (): string => readFileSync(logFile, 'utf8');
  const signal = (what: NodeJS.Signals): void => {
    if (running()) child.kill(what);
  };
  return {
    name,
    pid,
    get running() {
      return running();
    },
    output,
    signal,
    async stop(what = 'SIGTERM', grace = 10_000) {
      signal(what);
      const timer = setTimeout(() => signal('SIGKILL'), grace);
      const code = await exited;
      clearTimeout(timer);
      return code;
    },
  };
}

/**
 * Polls until `ready` holds.
 * @throws after `timeout` milliseconds, or at once when the child dies; the message quotes the end of its output
 */
export async function waitFor(child: Child, ready: () => Promise<boolean> | boolean, timeout = 30_000): Promise<void> {
  const deadline = performance.now() + timeout;
  while (!(await ready())) {
    const quote = (): string => child.output().trim().split('\n').slice(-10).join('\n');
    if (!child.running) throw new Error(`${child.name} ended early:\n${quote()}`);
    if (performance.now() > deadline) throw new Error(`${child.name} was not ready after ${timeout} ms:\n${quote()}`);
    await sleep(50);
  }
}

function started(child: ChildProcess, name: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new Error(`cannot start ${name}`, { cause: error })));
    child.once('spawn', () => resolve(child.pid as number));
  });
}
