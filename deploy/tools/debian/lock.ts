import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** How long to wait for another process that has the lock, seconds: it may be setting up a whole Debian. */
const patience = 900;

/**
 * Runs a task while no other process has the lock (flock(1)) on this file, which stays behind. The lock goes with this
 * process, however that ends.
 * @throws what the task throws, or when the lock was not to be had for a quarter of an hour
 */
export async function locked<T>(path: string, task: () => Promise<T>): Promise<T> {
  // Holds the lock until its standard input ends.
  const argv = ['--wait', String(patience), path, 'sh', '-c', 'echo; exec cat >/dev/null'];
  const holder = spawn('flock', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(holder, 'exit');
  exited.catch(() => {});
  const had = await Promise.race([once(holder.stdout, 'data').then(() => true), exited.then(() => false)]);
  if (!had) throw new Error(`${path}: another process has it locked`);
  try {
    return await task();
  } finally {
    holder.stdin.end();
    await exited;
  }
}
