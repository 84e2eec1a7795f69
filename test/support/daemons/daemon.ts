import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { builtFile } from '../repository.ts';
import { until } from '../until.ts';

/** A built daemon as a process of its own. */
export interface TestDaemon {
  /** `host:port` of its admin HTTP. */
  readonly admin: string;
  /** Its log lines so far. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  get(path: string): Promise<{ readonly status: number; readonly body: string }>;
  kill(signal: NodeJS.Signals): void;
  /** Ends it, by default with SIGTERM, and returns its exit code; null when a signal ended it. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
}

/** The path of a built program of this checkout. */
export function programPath(name: 'nerve' | 'synapse'): string {
  return builtFile(`${name}/main.js`);
}

/** What else is known of a daemon under test. */
export interface DaemonOptions {
  /** The `dist` of the checkout that it comes from; default: this one's. */
  readonly dist?: string;
}

/** Starts a daemon and waits until its admin HTTP listens. @throws with its output when it ends before */
export async function startDaemon(
  name: 'nerve' | 'synapse',
  config: string,
  { dist }: DaemonOptions = {},
): Promise<TestDaemon> {
  const program = dist === undefined ? programPath(name) : join(dist, name, 'main.js');
  const child: ChildProcess = spawn(process.execPath, [program, '-c', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, LOG_LEVEL: 'debug' },
  });
  const lines: Record<string, unknown>[] = [];
  let output = '';
  let rest = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
    rest += chunk;
    const whole = rest.split('\n');
    rest = whole.pop() ?? '';
    for (const line of whole) if (line.startsWith('{')) lines.push(JSON.parse(line));
  });
  const running = (): boolean => child.exitCode === null && child.signalCode === null;
  let admin = '';
  await until(() => {
    if (!running()) throw new Error(`${name} ended: ${output}`);
    const line = lines.find(({ message }) => message === `${name} runs`);
    admin = String(line?.admin ?? '');
    return admin !== '';
  });
  return {
    admin,
    lines,
    async get(path) {
      const response = await fetch(`http://${admin}${path}`, { signal: AbortSignal.timeout(5_000) });
      return { status: response.status, body: await response.text() };
    },
    kill: (signal) => void child.kill(signal),
    async end(signal = 'SIGTERM') {
      if (!running()) return child.exitCode;
      const exited = once(child, 'exit');
      child.kill(signal);
      await exited;
      return child.exitCode;
    },
  };
}
