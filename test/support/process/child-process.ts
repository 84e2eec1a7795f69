import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { eventually } from '../eventually.ts';

/** A process under test, with all it said. */
export interface Child {
  readonly process: ChildProcess;
  readonly pid: number;
  readonly output: () => string;
  readonly errors: () => string;
  /** Resolves to its exit code, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** Waits until it has written this to stderr. */
  said(text: string): Promise<void>;
}

/** Starts a Node.js program; it is killed when the test ends. */
export function startNode(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv = {}): Child {
  return startProgram(t, [process.execPath, ...args], env);
}

/** Starts a program; it is killed when the test ends. */
export function startProgram(
  t: TestContext,
  [program, ...args]: readonly [string, ...string[]],
  env: NodeJS.ProcessEnv = {},
): Child {
  const clean = { PATH: process.env.PATH ?? '', ...env };
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: clean });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return {
    process: child,
    pid: Number(child.pid),
    output: () => output,
    errors: () => errors,
    ended,
    said: (text) =>
      eventually(() => {
        if (!errors.includes(text)) throw new Error(`it has not said ${JSON.stringify(text)}, but:\n${errors}`);
      }),
  };
}
