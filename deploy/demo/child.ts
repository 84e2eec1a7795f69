import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { sleep } from '../../common/async/sleep.ts';
import { busyAdvice, longestWaitMs, slowLine, slowMs } from './slow.ts';

/** A program of the demo, and how it is run. */
export interface ChildOptions {
  /** Shown in messages: 'synapse', 'nerve of api-1'. */
  readonly name: string;
  /** The file for its output; messages quote the end of it when the process dies. */
  readonly logFile: string;
  /** Added to this process's own environment. */
  readonly env?: NodeJS.ProcessEnv;
  /** Called with a line while {@link waitFor} waits for long. */
  readonly onSlow?: ((line: string) => void) | undefined;
  /** Ends waiting for it. */
  readonly signal?: AbortSignal | undefined;
}

/** util-linux's setpriv has the kernel end the child when its parent dies, even by SIGKILL. */
const dieWithParent = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL', '--'] : [];

/** A process that was started here; it ends with this process, however that ends. */
export class Child {
  readonly name: string;
  readonly pid: number;
  readonly #process: ChildProcess;
  readonly #logFile: string;
  readonly #exited: Promise<number | null>;
  readonly #options: ChildOptions;

  constructor(process: ChildProcess & { readonly pid: number }, options: ChildOptions) {
    const { name, logFile } = options;
    this.#options = options;
    this.name = name;
    this.pid = process.pid;
    this.#process = process;
    this.#logFile = logFile;
    this.#exited = new Promise((resolve) => process.once('exit', (code) => resolve(code)));
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Everything that it has printed so far. */
  output(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  /** Tells the user that it takes long, and where to look. */
  noteSlow(seconds: number): void {
    this.#options.onSlow?.(
      slowLine({ what: this.name, advice: `its log is ${this.#logFile}; ${busyAdvice}` }, seconds),
    );
  }

  /** Aborts when waiting for it is to end. */
  get aborted(): AbortSignal | undefined {
    return this.#options.signal;
  }

  /** @throws when waiting for it is to end */
  throwIfAborted(): void {
    this.#options.signal?.throwIfAborted();
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running) this.#process.kill(signal);
  }

  /** Sends the signal, and SIGKILL when the process still runs after `graceMs`. @returns its exit code */
  async stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = 10_000): Promise<number | null> {
    this.signal(signal);
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    const code = await this.#exited;
    clearTimeout(timer);
    return code;
  }
}

/** Starts a process. @throws when it cannot be started at all */
export async function startChild(argv: readonly [string, ...string[]], options: ChildOptions): Promise<Child> {
  const [program, ...args] = [...dieWithParent, ...argv] as [string, ...string[]];
  const log = openSync(options.logFile, 'a');
  // A process group of its own: Ctrl-C reaches only this process, which ends the others in the right order.
  const child = spawn(program, args, {
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...options.env },
  });
  closeSync(log);
  try {
    await once(child, 'spawn');
  } catch (error) {
    throw new Error(`cannot start ${options.name}`, { cause: error });
  }
  return new Child(child as ChildProcess & { readonly pid: number }, options);
}

/**
 * Polls until `isReady` holds.
 * @throws after `timeoutMs`, or at once when the child dies; the message quotes the end of its output
 */
export async function waitFor(
  child: Child,
  isReady: () => Promise<boolean> | boolean,
  timeoutMs = longestWaitMs,
): Promise<void> {
  const since = performance.now();
  const deadline = since + timeoutMs;
  let noteAt = slowMs;
  while (!(await isReady())) {
    child.throwIfAborted();
    const waitedMs = performance.now() - since;
    if (waitedMs > noteAt) {
      child.noteSlow(Math.round(waitedMs / 1000));
      noteAt += slowMs;
    }
    const quote = (): string => child.output().trim().split('\n').slice(-10).join('\n');
    if (!child.running) throw new Error(`${child.name} ended early:\n${quote()}`);
    if (performance.now() > deadline) throw new Error(`${child.name} was not ready after ${timeoutMs} ms:\n${quote()}`);
    await sleep(50, child.aborted);
  }
}
