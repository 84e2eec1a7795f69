import { onAbort } from '../../../common/async/abort.ts';
import { clock, type Timer } from '../../../common/async/clock.ts';
import { sleep } from '../../../common/async/sleep.ts';
import type { Host } from '../../../common/host.ts';
import { failure } from '../../../common/reason.ts';
import { errorsIn } from '../configfile/check.ts';

/** The counts of reloads and workers in the reply of `show proc` on the master socket. */
export interface MasterState {
  readonly reloads: number;
  /** Failed reloads since the last one that worked. */
  readonly failed: number;
  /** Workers of earlier reloads, which finish their connections. */
  readonly oldWorkers: number;
}

/** The workers that the master lists, by process id. */
export interface MasterWorkers {
  /**
   * Those in charge. During a reload, it is the one that is being started. After a reload that failed, HAProxy 3.2 and newer
   * list none here, and the one in charge among `old`.
   */
  readonly current: readonly number[];
  readonly old: readonly number[];
  /** The last reload failed. */
  readonly hasFailed: boolean;
}

/** HAProxy has read the new configuration and did not load it: another try would fail too. */
export class LoadRefused extends Error {
  override readonly name = 'LoadRefused';
  /** What HAProxy printed; empty before 2.7, which does not say. */
  readonly output: string;

  constructor(message: string, output: string) {
    super(message);
    this.output = output;
  }
}

const pollIntervalMs = 30;
const replyTimeoutMs = 5_000;

/** How the master socket is reached. */
export interface MasterOptions {
  readonly host: Pick<Host, 'connectUnix'>;
  /** How long a reload may take. */
  readonly timeoutMs: number;
}

/**
 * Asks the master process for a reload and waits until it says that the new worker is there (management guide, 9.4):
 * from 2.7 on the command itself says so; before, `show proc` has to be polled.
 * @throws {LoadRefused} when HAProxy did not load the new configuration; an ordinary error when the master cannot be asked
 * or does not answer in time
 */
export async function reloadMaster(path: string, options: MasterOptions, signal: AbortSignal): Promise<void> {
  const { host, timeoutMs } = options;
  const deadline = clock.now() + timeoutMs;
  const showProc = (): Promise<MasterState> => masterState(path, host, signal);
  const before = await showProc();
  const answer = await ask(path, 'reload', options, signal);
  const success = /^Success=([01])/m.exec(answer)?.[1];
  if (success === '1') return;
  if (success === '0') throw new LoadRefused(`HAProxy keeps the old one: ${errorsIn(answer)}`, answer);
  while (clock.now() < deadline) {
    await sleep(pollIntervalMs, signal);
    signal.throwIfAborted();
    const now = await showProc().catch(() => undefined);
    if (now === undefined || now.reloads <= before.reloads) continue;
    if (now.failed > 0) throw new LoadRefused('HAProxy did not take the configuration; it keeps the old one', '');
    return;
  }
  throw new Error(`no new HAProxy worker within ${timeoutMs} ms`);
}

/** Reads the reply of `show proc`. @throws when it is not such a reply */
export function parseProc(reply: string): MasterState {
  const { reloads, failed } = parseMasterRow(reply);
  const { current, old } = parseWorkers(reply);
  // After a failed reload, 3.2 lists the worker in charge among the old workers.
  const inCharge = current.length === 0 ? 1 : 0;
  return { reloads, failed, oldWorkers: Math.max(0, old.length - inCharge) };
}

/** Reads the workers in the reply of `show proc`. @throws when it is not such a reply */
export function parseWorkers(reply: string): MasterWorkers {
  const below = (title: string): readonly number[] => {
    const section = reply.split(`# ${title}\n`)[1]?.split(/^#/m)[0] ?? '';
    return [...section.matchAll(/^(\d+)\s+worker\b/gm)].map(([, pid]) => Number(pid));
  };
  return { current: below('workers'), old: below('old workers'), hasFailed: parseMasterRow(reply).failed > 0 };
}

function parseMasterRow(reply: string): { readonly reloads: number; readonly failed: number } {
  const [, reloads, failed = '0'] = /^\d+\s+master\s+(\d+)(?:\s+\[failed:\s*(\d+)\])?/m.exec(reply) ?? [];
  if (reloads === undefined) throw new Error(`show proc answered ${JSON.stringify(reply.slice(0, 100))}`);
  return { reloads: Number(reloads), failed: Number(failed) };
}

/** Asks the master for its workers. @throws when the master cannot be asked */
export async function masterWorkers(path: string, options: MasterOptions, signal: AbortSignal): Promise<MasterWorkers> {
  return parseWorkers(await ask(path, 'show proc', options, signal));
}

/**
 * Sends commands to one worker through its master, one after the other. @returns the replies, in one text
 * @throws when the worker is not there any more, or does not answer in time
 */
export async function askWorker(
  path: string,
  { pid, commands }: { readonly pid: number; readonly commands: readonly string[] },
  options: MasterOptions,
  signal: AbortSignal,
): Promise<string> {
  return await ask(path, commands.map((command) => `@!${pid} ${command}`).join(';'), options, signal);
}

/** Asks the master for its counts of reloads and workers. @throws when the master cannot be asked */
export async function masterState(
  path: string,
  host: Pick<Host, 'connectUnix'>,
  signal: AbortSignal,
): Promise<MasterState> {
  return parseProc(await ask(path, 'show proc', { host, timeoutMs: replyTimeoutMs }, signal));
}

/** Counts the workers that finish their connections. @throws when the master cannot be asked */
export async function countOldWorkers(
  path: string,
  host: Pick<Host, 'connectUnix'>,
  signal: AbortSignal,
): Promise<number> {
  return (await masterState(path, host, signal)).oldWorkers;
}

/** The beginning of the reply when a command is for a worker that is not there. */
const noSuchWorker = "Can't find the target";

/** Sends one command on a connection of its own; the master keeps the connection open unless it is told to quit. */
async function ask(
  path: string,
  command: string,
  { host, timeoutMs }: MasterOptions,
  signal: AbortSignal,
): Promise<string> {
  const socket = host.connectUnix(path);
  let timer: Timer | undefined;
  let release = (): void => {};
  try {
    return await new Promise((resolve, reject) => {
      let answer = '';
      timer = clock.setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
      socket.setEncoding('utf8');
      socket.on('data', (chunk: string) => {
        answer += chunk;
        // HAProxy 3.0 and newer keep the connection open then.
        if (answer.startsWith(noSuchWorker)) reject(new Error(answer.trim()));
      });
      socket.on('error', (error: NodeJS.ErrnoException) => {
        // A master that executes itself for a reload resets connections that it has answered already.
        if (command === 'reload' && error.code !== 'ENOENT' && error.code !== 'ECONNREFUSED') resolve(answer);
        else reject(error);
      });
      socket.on('end', () => resolve(answer));
      socket.on('close', () => resolve(answer));
      release = onAbort(signal, () => reject(new Error('aborted')));
      socket.write(command === 'reload' ? 'reload\n' : `${command};quit\n`);
    });
  } catch (error) {
    throw failure(`cannot ask HAProxy's master at ${path} (${command})`, error);
  } finally {
    clock.clearTimeout(timer);
    release();
    socket.destroy();
  }
}
