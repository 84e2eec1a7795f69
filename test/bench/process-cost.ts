import { readdir, readFile } from 'node:fs/promises';
import { sleep } from '../../common/async/sleep.ts';

/** Resident memory of a process now, MB. */
export async function residentMegabytes(pid: number): Promise<number> {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) / 1024;
}

/** Resident memory of a process that it shares with no other one: without the pages of programs and libraries; MB. */
export async function ownMegabytes(pid: number): Promise<number> {
  const kilobytes = /^RssAnon:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) / 1024;
}

/** The processes that a process has started. */
export async function childrenOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

/** Clock ticks of proc(5) are hundredths of a second on Linux. */
const millisecondsPerTick = 10;

/** User and system time of a process so far, milliseconds. */
export async function cpuMilliseconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /s, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * millisecondsPerTick;
}

/** The processor time of each process while `seconds` pass, percent of one core. */
export async function cpuPercent(pids: readonly number[], seconds: number): Promise<readonly number[]> {
  const read = (): Promise<number[]> => Promise.all(pids.map(cpuMilliseconds));
  const [before, begin] = [await read(), performance.now()];
  await sleep(seconds * 1_000);
  const [after, took] = [await read(), performance.now() - begin];
  return after.map((now, index) => ((now - (before[index] ?? 0)) / took) * 100);
}

/** What a process does while nothing changes. */
export interface RestRates {
  /** User and system time of all its threads, percent of one core. */
  readonly cpuPercent: number;
  /** How often its threads went to sleep, and so how often they were woken, per second. */
  readonly wakesPerSecond: number;
}

/** Reads what each process does while `seconds` pass, all at the same time. */
export async function restRates(pids: readonly number[], seconds: number): Promise<readonly RestRates[]> {
  const before = await Promise.all(pids.map(activity));
  const begin = performance.now();
  await sleep(seconds * 1_000);
  const took = (performance.now() - begin) / 1_000;
  const after = await Promise.all(pids.map(activity));
  return after.map((now, index) => {
    const then = before[index] ?? { nanoseconds: Number.NaN, sleeps: Number.NaN };
    return {
      cpuPercent: (now.nanoseconds - then.nanoseconds) / took / 1e7,
      wakesPerSecond: (now.sleeps - then.sleeps) / took,
    };
  });
}

/** The sums over the threads of a process so far; finer than the clock ticks of `/proc/PID/stat`. */
async function activity(pid: number): Promise<{ readonly nanoseconds: number; readonly sleeps: number }> {
  let [nanoseconds, sleeps] = [0, 0];
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${thread}`;
    nanoseconds += Number((await readFile(`${folder}/schedstat`, 'utf8')).split(' ')[0]);
    sleeps += Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(await readFile(`${folder}/status`, 'utf8'))?.[1]);
  }
  return { nanoseconds, sleeps };
}
