import { readFile } from 'node:fs/promises';
import { sleep } from '../../common/async/sleep.ts';

/** Resident memory of a process now, MB. */
export async function residentMegabytes(pid: number): Promise<number> {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) / 1024;
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
