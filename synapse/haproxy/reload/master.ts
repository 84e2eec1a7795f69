import { connect } from 'node:net';
import { clock } from '../../../common/async/clock.ts';
import { sleep } from '../../../common/async/sleep.ts';
import { failure } from '../../../common/reason.ts';
import { wrongIn } from '../configfile/check.ts';

/** What `show proc` on the master socket says about reloads. */
export interface MasterState {
  readonly reloads: number;
  /** Reloads that failed since the last that worked. */
  readonly failed: number;
  /** Workers that finish their connections. */
  readonly oldWorkers: number;
}

/** HAProxy has read the new configuration and did not take it: asking again would not help. */
export class LoadRefused extends Error {
  override readonly name = 'LoadRefused';
  /** What HAProxy printed, where it says so. */
  readonly output: string;

  constructor(message: string, output: string) {
    super(message);
    this.output = output;
  }
}

const pollInterval = 30;
const replyTimeout = 5_000;

/**
 * Asks the master process for a reload and waits for its word that the new worker is there (management guide, 9.4):
 * since 2.7 the command itself says so; before, `show proc` has to be watched.
 * @throws {LoadRefused} when HAProxy did not take the new configuration; an ordinary error when it cannot be asked or
 * does not answer in time
 */
export async function reloadMaster(
  path: string,
  options: { readonly timeout: number },
  signal: AbortSignal,
): Promise<void> {
  const deadline = clock.now() + options.timeout;
  const before = parseProc(await ask(path, 'show proc', replyTimeout, signal));
  const answer = await ask(path, 'reload', options.timeout, signal);
  const success = /^Success=([01])/m.exec(answer)?.[1];
  if (success === '1') return;
  if (success === '0') throw new LoadRefused(`HAProxy keeps the old one: ${wrongIn(answer)}`, answer);
  while (clock.now() < deadline) {
    await sleep(pollInterval, signal);
    signal.throwIfAborted();
    const now = await ask(path, 'show proc', replyTimeout, signal).then(parseProc, () => undefined);
    if (now === undefined || now.reloads <= before.reloads) continue;
    if (now.failed > 0) throw new LoadRefused('HAProxy did not take the configuration; it keeps the old one', '');
    return;
  }
  throw new Error(`no new HAProxy worker within ${options.timeout} ms`);
}

/** Reads the reply of `show proc`. @throws when it is not such a reply */
export function parseProc(reply: string): MasterState {
  const [, reloads, failed = '0'] = /^\d+\s+master\s+(\d+)(?:\s+\[failed:\s*(\d+)\])?/m.exec(reply) ?? [];
  if (reloads === undefined) throw new Error(`show proc answered ${JSON.stringify(reply.slice(0, 100))}`);
  const workersBelow = (title: string): number => {
    const section = reply.split(`# ${title}\n`)[1]?.split(/^#/m)[0] ?? '';
    return section.split('\n').filter((line) => /^\d+\s+worker\b/.test(line)).length;
  };
  const old = workersBelow('old workers');
  // After a reload that failed, 3.2 lists the worker in charge among the old ones.
  const inCharge = workersBelow('workers') === 0 ? 1 : 0;
  return { reloads: Number(reloads), failed: Number(failed), oldWorkers: Math.max(0, old - inCharge) };
}

/** How many workers finish their connections. @throws when the master cannot be asked */
export async function countOldWorkers(path: string, signal: AbortSignal): Promise<number> {
  return parseProc(await ask(path, 'show proc', replyTimeout, signal)).oldWorkers;
}

/** One command on a connection of its own; the master keeps it open unless told to quit. */
function ask(path: string, command: string, timeout: number, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true });
    let answer = '';
    const finish = (error?: Error): void => {
      clock.clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      if (error === undefined) resolve(answer);
      else reject(failure(`cannot ask HAProxy's master at ${path} (${command})`, error));
    };
    const timer = clock.setTimeout(() => finish(new Error(`no answer within ${timeout} ms`)), timeout);
    const onAbort = (): void => finish(new Error('aborted'));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      answer += chunk;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // A master that executes itself anew resets connections it has already answered.
      if (command === 'reload' && error.code !== 'ENOENT' && error.code !== 'ECONNREFUSED') finish();
      else finish(error);
    });
    socket.on('end', () => finish());
    socket.on('close', () => finish());
    socket.write(command === 'reload' ? 'reload\n' : `${command};quit\n`);
  });
}
