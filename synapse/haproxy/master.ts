import { connect } from 'node:net';
import { sleep } from '../../common/supervise.ts';

/** What `show proc` on the master socket says about reloads. */
export interface MasterState {
  readonly reloads: number;
  /** Reloads that failed since the last that worked. */
  readonly failed: number;
  /** Workers that finish their connections. */
  readonly oldWorkers: number;
}

const pollInterval = 30;
const replyTimeout = 5_000;

/**
 * Asks the master process for a reload and waits for its word that the new worker is there (management guide, 9.4):
 * since 2.7 the command itself says so; before, `show proc` has to be watched.
 * @throws when it cannot be asked, does not answer in time, or HAProxy did not take the new configuration
 */
export async function reloadMaster(
  path: string,
  options: { readonly timeout: number },
  signal: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + options.timeout;
  const before = parseProc(await ask(path, 'show proc', replyTimeout, signal));
  const answer = await ask(path, 'reload', options.timeout, signal);
  const success = /^Success=([01])/m.exec(answer)?.[1];
  if (success === '1') return;
  if (success === '0') throw new Error(`HAProxy did not reload: ${lastLines(answer)}`);
  while (performance.now() < deadline) {
    await sleep(pollInterval, signal);
    signal.throwIfAborted();
    const now = await ask(path, 'show proc', replyTimeout, signal).then(parseProc, () => undefined);
    if (now === undefined || now.reloads <= before.reloads) continue;
    if (now.failed > 0) throw new Error('HAProxy did not take the configuration; it keeps the old one');
    return;
  }
  throw new Error(`no new HAProxy worker within ${options.timeout} ms`);
}

/** Reads the reply of `show proc`. @throws when it is not such a reply */
export function parseProc(reply: string): MasterState {
  const [, reloads, failed = '0'] = /^\d+\s+master\s+(\d+)(?:\s+\[failed:\s*(\d+)\])?/m.exec(reply) ?? [];
  if (reloads === undefined) throw new Error(`show proc answered ${JSON.stringify(reply.slice(0, 100))}`);
  const old = reply.split(/^# old workers$/m)[1]?.split(/^#/m)[0] ?? '';
  return {
    reloads: Number(reloads),
    failed: Number(failed),
    oldWorkers: old.split('\n').filter((line) => /^\d+\s+worker\b/.test(line)).length,
  };
}

/** One command on a connection of its own; the master keeps it open unless told to quit. */
function ask(path: string, command: string, timeout: number, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true });
    let answer = '';
    const finish = (error?: Error): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      if (error === undefined) resolve(answer);
      else reject(new Error(`cannot ask HAProxy's master at ${path}: ${command}`, { cause: error }));
    };
    const timer = setTimeout(() => finish(new Error(`no answer within ${timeout} ms`)), timeout);
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

function lastLines(text: string): string {
  return text
    .split('\n')
    .filter((line) => /ALERT|EMERG|error/i.test(line))
    .join('; ')
    .slice(0, 1_000);
}
