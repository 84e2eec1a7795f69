import assert from 'node:assert/strict';
import { Agent, createServer, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { EtcdClient } from '../../../common/etcd/client/client.ts';
import { remove } from '../etcd/etcd.ts';
import { about, announce, apiKey, ask, type Cleanup } from './fleet-host.ts';

/** An instance that knows what it is doing, and that can die at once. */
export interface LiveInstance {
  readonly port: number;
  /** Requests in progress. */
  readonly open: number;
  /** When the last request began and ended, milliseconds of `performance.now()`; 0 before the first. */
  readonly beganAt: number;
  readonly endedAt: number;
  /** Closes everything at once, as a process that is killed. */
  kill(): void;
}

/** Starts an instance. It answers `/slow` after up to 300 ms, and everything else at once. */
export async function liveInstance(t: Cleanup): Promise<LiveInstance> {
  let open = 0;
  let beganAt = 0;
  let endedAt = 0;
  const server = createServer((incoming, response: ServerResponse) => {
    open += 1;
    beganAt = performance.now();
    response.on('close', () => {
      open -= 1;
      endedAt = performance.now();
    });
    if (incoming.url !== '/slow') response.end('quick');
    else setTimeout(() => response.end('slow'), 300 * Math.random());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const kill = (): void => {
    server.close();
    server.closeAllConnections();
  };
  t.after(kill);
  return {
    port: (server.address() as AddressInfo).port,
    get open() {
      return open;
    },
    get beganAt() {
      return beganAt;
    },
    get endedAt() {
      return endedAt;
    },
    kill,
  };
}

/** Clients that send one request after the other until they are stopped. */
export interface Clients {
  readonly requests: number;
  /** What went wrong, one text for each failed request. */
  readonly failures: readonly string[];
  stop(): Promise<void>;
}

/** Starts clients of each port: one on a connection that stays open, one on new connections, and one with slow requests. */
export function startClients(ports: readonly number[]): Clients {
  const failures: string[] = [];
  let requests = 0;
  let isOver = false;
  const run = async (port: number, path: string, agent: Agent): Promise<void> => {
    while (!isOver) {
      requests += 1;
      const began = performance.now();
      const failure = await send(port, path, agent);
      const tookMs = Math.round(performance.now() - began);
      if (failure !== undefined) failures.push(`${path} on ${port}: ${failure} after ${tookMs} ms`);
      await pause(5 + 10 * Math.random());
    }
    agent.destroy();
  };
  const all = ports.flatMap((port) => [
    run(port, '/', new Agent({ keepAlive: true, maxSockets: 1 })),
    run(port, '/', new Agent({ keepAlive: false })),
    run(port, '/slow', new Agent({ keepAlive: true, maxSockets: 1 })),
  ]);
  return {
    get requests() {
      return requests;
    },
    failures,
    async stop() {
      isOver = true;
      await Promise.all(all);
    },
  };
}

/** @returns why the request failed */
function send(port: number, path: string, agent: Agent): Promise<string | undefined> {
  return new Promise((resolve) => {
    const outgoing = request({ host: '127.0.0.1', port, path, agent }, (response) => {
      response.on('error', (error) => resolve(error.message));
      response.on('end', () => resolve(response.statusCode === 200 ? undefined : `status ${response.statusCode}`));
      response.resume();
    });
    outgoing.on('error', (error) => resolve(error.message));
    outgoing.end();
  });
}

/** What one round took. */
export interface Round {
  /** From when the drain was announced until the asker knew that it is over. */
  readonly waitMs: number;
  /** From when the last request to the instance had ended until the asker knew. */
  readonly lateMs: number;
}

/**
 * Deploys an instance: drains it, waits for the fleet, kills it at once, and puts another one in its place.
 * @throws when the fleet said too early that it is over, or did not say it
 */
export async function deploy(
  t: Cleanup,
  client: EtcdClient,
  instance: LiveInstance,
): Promise<{ readonly round: Round; readonly next: LiveInstance }> {
  const drainedAt = performance.now();
  await announce(client, instance.port, { state: 'drain' });
  const { outcome, reason } = await ask(client, about(instance.port, 'drained')).answer;
  const knownAt = performance.now();
  assert.equal(outcome, 'done', reason ?? '');
  assert.equal(instance.open, 0, 'requests were open when the drain was said to be over');
  instance.kill();
  await remove(client, apiKey(instance.port));
  const next = await liveInstance(t);
  await announce(client, next.port);
  const up = await ask(client, about(next.port, 'up')).answer;
  assert.equal(up.outcome, 'done', up.reason ?? '');
  const round = { waitMs: knownAt - drainedAt, lateMs: knownAt - Math.max(instance.endedAt, drainedAt) };
  return { round, next };
}
