import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** How long to wait for another process that has the lock, which may be setting up a whole Debian. */
const waitSeconds = 900;

/**
 * Runs a task while this process has the lock (flock(1)) on a file, which is not removed. The lock ends with this process at the
 * latest.
 * @throws what the task throws, or when another process has the lock for a quarter of an hour
 */
export async function locked<T>(path: string, task: () => Promise<T>): Promise<T> {
  // Holds the lock until its standard input ends.
  const argv = ['--wait', String(waitSeconds), path, 'sh', '-c', 'echo; exec cat >/dev/null'];
  const holder = spawn('flock', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(holder, 'exit');
  exited.catch(() => {});
  const isLocked = await Promise.race([once(holder.stdout, 'data').then(() => true), exited.then(() => false)]);
  if (!isLocked) throw new Error(`${path}: another process has it locked`);
  try {
    return await task();
  } finally {
    holder.stdin.end();
    await exited;
  }
}
