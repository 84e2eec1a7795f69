import { spawn } from 'node:child_process';
import { onAbort } from '../async/abort.ts';
import { clock } from '../async/clock.ts';

/** How a program is run. */
export interface ExecOptions {
  /** Milliseconds until the command and its children are killed; without it only `signal` kills them. */
  readonly timeoutMs?: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** User and group to run as, by number; needs root. */
  readonly uid?: number;
  readonly gid?: number;
  /** Written to the command's standard input. */
  readonly input?: string;
  /** When the command exits, kill the processes that it leaves in its process group. */
  readonly endsGroup?: boolean;
  /** Bytes of each output stream that are kept, default 64 KiB; the rest is read and dropped. */
  readonly maxOutput?: number;
}

/** How a program ended, and what it printed. */
export interface ExecResult {
  /** Exit code; null when a signal ended the command. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command could not be started, was killed at its deadline, or was aborted. */
export class ExecError extends Error {
  override readonly name = 'ExecError';
}

/**
 * Runs a program with an argument list (no shell) in a process group of its own, so that a deadline or an abort kills
 * its children too. A non-zero exit is a result, not an error.
 * @throws {ExecError} naming the command, when it cannot be started, times out or is aborted
 */
export function exec(
  argv: readonly [string, ...string[]],
  options: ExecOptions,
  signal?: AbortSignal,
): Promise<ExecResult> {
  const [program, ...args] = argv;
  const { timeoutMs, env, cwd, uid, gid, input, endsGroup = false, maxOutput = 64 * 1024 } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new ExecError(`${program}: aborted`));
    const child = spawn(program, args, { cwd, env, uid, gid, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
    /** Why the command was killed. */
    let killed: string | undefined;
    const killGroup = (): void => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // The group is gone already.
      }
    };
    const kill = (reason: string): void => {
      killed ??= reason;
      killGroup();
      if (child.pid === undefined) return;
      // A child that left the group may hold the other ends of the pipes; only the command itself is waited for.
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const timer =
      timeoutMs === undefined ? undefined : clock.setTimeout(() => kill(`killed after ${timeoutMs} ms`), timeoutMs);
    const removeListener = signal === undefined ? undefined : onAbort(signal, () => kill('aborted'));
    const release = (): void => {
      clock.clearTimeout(timer);
      removeListener?.();
    };
    const stdout = capture(child.stdout, maxOutput);
    const stderr = capture(child.stderr, maxOutput);
    child.on('error', (error) => {
      release();
      reject(new ExecError(`cannot run ${program}`, { cause: error }));
    });
    // At its exit, not at its close: processes left behind may hold the pipes open.
    if (endsGroup) child.on('exit', killGroup);
    // A grandchild may hold the pipes open after the command has exited: the deadline covers that too.
    child.on('close', (code, exitSignal) => {
      release();
      if (killed !== undefined) return reject(new ExecError(`${program}: ${killed}${tail(stderr())}`));
      resolve({ code, signal: exitSignal, stdout: stdout(), stderr: stderr() });
    });
    child.stdin.on('error', () => {}); // EPIPE: the command does not read its input
    child.stdin.end(input);
  });
}

/** The same through `/bin/sh -c`, for commands that users write as one line of shell. */
export function shell(command: string, options: ExecOptions, signal?: AbortSignal): Promise<ExecResult> {
  return exec(['/bin/sh', '-c', command], options, signal);
}

function capture(stream: NodeJS.ReadableStream, limit: number): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on('data', (chunk: Buffer) => {
    if (size >= limit) return;
    chunks.push(chunk.subarray(0, limit - size));
    size += chunk.length;
  });
  return () => Buffer.concat(chunks).toString();
}

function tail(output: string): string {
  const text = output.trim();
  return text === '' ? '' : `: ${text.slice(-500)}`;
}
