import { spawn } from 'node:child_process';
import { close, constants, ftruncate, open, readFile, write } from 'node:fs';
import { promisify } from 'node:util';
import { clock } from '../async/clock.ts';
import { visibleLine } from '../visible.ts';
import { reasonOf } from './log.ts';

/** A lock that ends with this process at the latest, however it ends. */
export interface FileLock {
  release(): Promise<void>;
}

/** What became of an attempt to lock a file. */
export type LockResult =
  | { readonly result: 'locked'; readonly lock: FileLock }
  /** Another process has it. `holder`: the text that this process left in the file. */
  | { readonly result: 'taken'; readonly holder: string }
  /** Nothing is known: the file cannot be opened, or this system cannot lock it. */
  | { readonly result: 'unavailable'; readonly reason: string };

/** Tries to lock a file without waiting, and leaves `note` in it for others; see {@link lockFile}. */
export type LockFile = (path: string, note: string) => Promise<LockResult>;

/** Exit code of `flock -n` when another process has the lock (flock(1), and BusyBox's). */
const takenCode = 1;
/** A lock on a network file system may hang. */
const timeoutMs = 2_000;
const longestNote = 400;

/**
 * Locks a file for as long as this process runs. Node.js cannot do that, so the program `flock` (util-linux, BusyBox) locks the
 * open file, and this process keeps it open: the kernel ends the lock with the process, also at kill -9 and at `exec`, and other
 * containers that have the file see the lock. The file stays when the lock ends: a process that opens it just then must not lock
 * another file than the next one does.
 */
export const lockFile: LockFile = async (path, note) => {
  let fd: number;
  try {
    const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
    fd = await promisify(open)(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
  } catch (error) {
    return { result: 'unavailable', reason: reasonOf(error) };
  }
  let isLocked = false;
  try {
    const code = await flock(fd);
    isLocked = code === 0;
    if (code === takenCode) return { result: 'taken', holder: (await textOf(path)) || 'an unknown process' };
    if (!isLocked) return { result: 'unavailable', reason: `flock ended with exit code ${code}` };
    await promisify(ftruncate)(fd, 0);
    await promisify(write)(fd, Buffer.from(`${note}\n`), 0);
    return { result: 'locked', lock: { release: () => promisify(close)(fd) } };
  } catch (error) {
    return { result: 'unavailable', reason: reasonOf(error) };
  } finally {
    if (!isLocked) await promisify(close)(fd).catch(() => {});
  }
};

/** Locks an open file. @returns the exit code of `flock` @throws when it cannot be run, or does not end in time */
function flock(fd: number): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
    const timer = clock.setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`flock did not end within ${timeoutMs} ms`));
    }, timeoutMs);
    child.on('error', (error) => {
      clock.clearTimeout(timer);
      reject(new Error('the program flock cannot be run', { cause: error }));
    });
    child.on('exit', (code) => {
      clock.clearTimeout(timer);
      resolve(code);
    });
  });
}

async function textOf(path: string): Promise<string> {
  const text = await promisify(readFile)(path, 'utf8').catch(() => '');
  return visibleLine(text.trim().slice(0, longestNote));
}
