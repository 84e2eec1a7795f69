import { sleep } from '../../common/async/sleep.ts';
import { silentLog } from '../../common/daemon/log.ts';
import { createEtcdClient } from '../../common/etcd/client/client.ts';
import { about, announce, ask, type Cleanup, type FleetHost, startFleetHost } from '../support/fleet/fleet-host.ts';
import { deploy, type LiveInstance, liveInstance, startClients } from '../support/fleet/rounds.ts';

/** What a fleet of three hosts measured. Times in milliseconds. */
export interface ConvergenceResult {
  /** From the put of a drain until all HAProxy processes have it, without asking anybody. */
  readonly plain: readonly number[];
  /** From the end of the same put until the asker knows that all have it and that nothing is open. */
  readonly idleWait: readonly number[];
  /** With requests: from the end of the last request to the instance until the asker knows. */
  readonly late: readonly number[];
  readonly requests: number;
  readonly failures: readonly string[];
}

/** Before each wait: what the round before has left to do, no real drain finds. */
const calmMs = 500;

/** Drains an idle service, and then deploys one instance after the other under load and kills each at once. */
export async function measureConvergence(etcd: readonly string[], rounds: number): Promise<ConvergenceResult> {
  const ends: (() => Promise<void> | void)[] = [];
  const cleanup: Cleanup = { after: (run) => void ends.unshift(run) };
  const end = new AbortController();
  const client = createEtcdClient({ hosts: etcd }, { log: silentLog }, end.signal);
  try {
    const all = await Promise.all([1, 2, 3].map(() => liveInstance(cleanup)));
    for (const { port } of all) await announce(client, port);
    const ids = ['bench-1', 'bench-2', 'bench-3'];
    const hosts = await Promise.all(ids.map((id) => startFleetHost(cleanup, { etcd, id })));
    for (const { port } of all) await ask(client, about(port, 'up')).answer;
    const first = (all[0] as LiveInstance).port;
    const plain: number[] = [];
    const idleWait: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await sleep(calmMs);
      plain.push(await untilDrained(hosts, first, () => announce(client, first, { state: 'drain' })));
      await announce(client, first);
      await ask(client, about(first, 'up')).answer;
      await sleep(calmMs);
      await announce(client, first, { state: 'drain' });
      const began = performance.now();
      await ask(client, about(first, 'drained')).answer;
      idleWait.push(performance.now() - began);
      await announce(client, first);
      await ask(client, about(first, 'up')).answer;
    }
    const clients = startClients(hosts.map(({ port }) => port));
    const late: number[] = [];
    let instances: readonly LiveInstance[] = all;
    for (let round = 0; round < rounds; round++) {
      const [oldest, ...others] = instances;
      const done = await deploy(cleanup, client, oldest as LiveInstance);
      late.push(done.round.lateMs);
      instances = [...others, done.next];
    }
    await clients.stop();
    return { plain, idleWait, late, requests: clients.requests, failures: clients.failures };
  } finally {
    for (const run of ends) await run();
    end.abort();
  }
}

/** Milliseconds from before `change` until the server is drained in every HAProxy, read again and again. */
async function untilDrained(
  hosts: readonly FleetHost[],
  port: number,
  change: () => Promise<unknown>,
): Promise<number> {
  const began = performance.now();
  await change();
  const isDrained = async ({ haproxy }: FleetHost): Promise<boolean> => {
    const row = (await haproxy.servers()).get(`api/i${port}_127.0.0.1:${port}`);
    return row?.srv_admin_state === '8';
  };
  while (!(await Promise.all(hosts.map(isDrained))).every(Boolean)) await new Promise(setImmediate);
  return performance.now() - began;
}
