import { readdir, readFile } from 'node:fs/promises';

/** A process as the kernel shows it. */
export interface ProcessInfo {
  readonly pid: number;
  /** Stopped by a signal: it keeps its connections and answers nothing. */
  readonly frozen: boolean;
}

/**
 * The process that was started as `program` with all of these arguments. The kernel is asked each time, because a process
 * id that is kept in a file may belong to another program by now.
 * @throws where there is no /proc
 */
export async function findProcess(program: string, args: readonly string[]): Promise<ProcessInfo | undefined> {
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const [first, ...rest] = (await readFile(`/proc/${name}/cmdline`, 'utf8')).split('\0');
      if (first !== program || !args.every((arg) => rest.includes(arg))) continue;
      // The name, in parentheses, may hold anything; the state is the letter after it. A zombie has no command line.
      const state = /^.*\) (.)/s.exec(await readFile(`/proc/${name}/stat`, 'utf8'))?.[1];
      return { pid: Number(name), frozen: state === 'T' };
    } catch {
      // It ended meanwhile.
    }
  }
  return undefined;
}
