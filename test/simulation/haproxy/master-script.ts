import { clock } from '../../../common/async/clock.ts';
import { sleep } from '../../../common/async/sleep.ts';
import { LoadRefused, type MasterState } from '../../../synapse/haproxy/reload/master.ts';
import { parseInfo, parseServersState } from '../../../synapse/haproxy/runtime/parse.ts';
import { parseTraffic, type WorkerTraffic } from '../../../synapse/haproxy/runtime/read-servers.ts';
import { parseLoads } from '../../../synapse/haproxy/runtime/sessions.ts';
import { meaning, type Send } from './script.ts';

/** An HAProxy in master-worker mode, real or simulated, as the script sees it. */
export interface HaproxyTarget {
  /** Replaces haproxy.cfg: by one that HAProxy loads, or by one that it refuses. */
  write(kind: 'good' | 'refused'): Promise<void>;
  /** Asks the master for a reload, as synapse does. */
  reload(): Promise<void>;
  showProc(): Promise<MasterState>;
  /** Process ids of the workers on their way out. */
  oldWorkers(): Promise<readonly number[]>;
  /** Has the master pass commands on to one worker. */
  askWorker(pid: number, commands: readonly string[]): Promise<string>;
  /** A client connects to the frontend of `api`, and leaves its connection open. */
  openClient(): Promise<ScriptClient>;
  /** Opens a connection to the runtime API. */
  connect(): Promise<{ readonly send: Send; close(): void }>;
}

/** A client with a connection that it leaves open. */
export interface ScriptClient {
  /** Sends a request, and reads its answer. @returns whether HAProxy closes the connection then */
  isClosedAfterRequest(): Promise<boolean>;
  close(): void;
}

/** How long workers may take to end, milliseconds. */
const patienceMs = 5_000;

/** Reloads HAProxy in each way that synapse meets, and writes down what it sees: process ids are named in order. */
export async function observeMaster(target: HaproxyTarget): Promise<readonly string[]> {
  const seen: string[] = [];
  const pids: number[] = [];
  const nameOf = (pid: number): string => {
    if (!pids.includes(pid)) pids.push(pid);
    return `worker ${pids.indexOf(pid) + 1}`;
  };
  const workerOf = async ({ send }: { readonly send: Send }): Promise<string> => {
    const [reply = ''] = await send(['show info']);
    const { pid, stopping } = parseInfo(reply);
    return `${nameOf(pid)}${stopping ? ', stopping' : ''}`;
  };
  const proc = async (what: string): Promise<void> => {
    const { reloads, failed, oldWorkers } = await target.showProc();
    seen.push(`${what}: ${reloads} reloads, ${failed} failed, ${oldWorkers} old workers`);
  };
  const reload = async (what: string): Promise<void> => {
    const answer = await target.reload().then(
      () => 'loaded',
      (error: unknown) =>
        error instanceof LoadRefused ? `refused, ${error.output === '' ? 'without' : 'with'} a reason` : String(error),
    );
    seen.push(`${what}: ${answer}`);
    await proc(`after ${what}`);
  };
  const withoutOldWorkers = async (): Promise<void> => {
    const deadline = clock.now() + patienceMs;
    while ((await target.showProc()).oldWorkers > 0 && clock.now() < deadline) await sleep(50);
    await proc('when no connection holds an old worker');
  };

  await proc('at first');
  const held = await target.connect();
  const client = await target.openClient();
  seen.push(`a request of a client closes its connection: ${await client.isClosedAfterRequest()}`);
  seen.push(`a connection: ${await workerOf(held)}`);
  await reload('a reload');
  seen.push(`the connection from before: ${await workerOf(held)}`);
  await commandsOfStoppingWorker(held.send, seen);
  await askStoppingWorker(target, seen);
  seen.push(`a request of the client closes its connection: ${await client.isClosedAfterRequest()}`);
  await eventuallyWithoutClients(target);
  await askStoppingWorker(target, seen);
  await sleep(500);
  const next = await target.connect();
  seen.push(`a new connection: ${await workerOf(next)}`);
  held.close();
  await withoutOldWorkers();

  await target.write('refused');
  await reload('a reload with a file that HAProxy refuses');
  seen.push(`the connection from before: ${await workerOf(next)}`);
  await reload('a second reload with that file');
  await target.write('good');
  await reload('a reload with the mended file');
  seen.push(`the connection from before: ${await workerOf(next)}`);
  next.close();
  await withoutOldWorkers();

  await connectDuringReload(
    target,
    async (connection) => nameOf(parseInfo((await connection.send(['show info']))[0] ?? '').pid),
    seen,
  );
  return seen;
}

/** What a worker that another one has replaced still does. */
async function commandsOfStoppingWorker(send: Send, seen: string[]): Promise<void> {
  for (const command of [
    'set server api/one weight 3',
    'set server api/one state maint',
    'set server api/one state ready',
    'add server api/nine 127.0.0.1:9 id 99',
    'set server api/nine state ready',
    'enable health api/one',
    'del server api/one',
    'show env SYNAPSE_GEN',
  ]) {
    const [reply = ''] = await send([command]);
    seen.push(`stopping, ${command}: ${JSON.stringify(meaning(reply.trim().replace(/\s+/g, ' ')))}`);
  }
}

/** What the master has a worker on its way out say: its servers, and whether its clients may still send requests. */
async function askStoppingWorker(target: HaproxyTarget, seen: string[]): Promise<void> {
  const [pid = 0] = await target.oldWorkers();
  const traffic = await trafficOf(target, pid);
  const rows = parseServersState(await target.askWorker(pid, ['show servers state'])).filter(
    ({ backend }) => backend === 'api',
  );
  const asked = rows.map(({ backendId, id }) => `show stat ${backendId} 4 ${id}`);
  const loads = parseLoads(fromHeader(await target.askWorker(pid, asked)));
  seen.push(`the stopping worker: ${JSON.stringify([traffic, rows.map(({ name }) => name), [...loads]])}`);
  const error = await target.askWorker(999_999, ['show info']).catch((reason: Error) => reason.message);
  seen.push(`a worker that is not there: ${/Can't find the target/.test(error)}`);
}

/** Waits until the worker on its way out has no clients: the end of a connection takes a moment. */
async function eventuallyWithoutClients(target: HaproxyTarget): Promise<void> {
  const [pid = 0] = await target.oldWorkers();
  const deadline = clock.now() + patienceMs;
  while ((await trafficOf(target, pid)).mayChoose && clock.now() < deadline) await sleep(20);
}

async function trafficOf(target: HaproxyTarget, pid: number): Promise<WorkerTraffic> {
  return parseTraffic(fromHeader(await target.askWorker(pid, ['show stat -1 3 -1'])));
}

function fromHeader(reply: string): string {
  return reply.slice(reply.indexOf('# pxname,'));
}

/** Connects again and again during a reload: the former or the new worker answers; in the end the new one does. */
async function connectDuringReload(
  target: HaproxyTarget,
  workerOf: (connection: { readonly send: Send }) => Promise<string>,
  seen: string[],
): Promise<void> {
  const answered: string[] = [];
  const ask = async (): Promise<string> => {
    const connection = await target.connect();
    try {
      return await workerOf(connection);
    } finally {
      connection.close();
    }
  };
  const before = await ask();
  let over = false;
  const asking = (async () => {
    while (!over) {
      // A worker that ends at this moment drops the connection.
      answered.push(await ask().catch(() => before));
      await sleep(5);
    }
  })();
  await target.reload();
  await sleep(500);
  over = true;
  await asking;
  const last = answered.at(-1);
  seen.push(`before the reload: ${before}`);
  seen.push(`after the reload: ${last}`);
  const others = answered.filter((worker) => worker !== before && worker !== last);
  seen.push(`during the reload others: ${others.join(' ') || 'none'}`);
}
