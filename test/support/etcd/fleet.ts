import { Mutex } from '../../../common/async/mutex.ts';
import type { EtcdClient } from '../../../common/etcd/client/client.ts';
import { prefixRange } from '../../../common/etcd/client/key-value.ts';
import { list } from '../../../common/etcd/watch/list.ts';
import { createReflector } from '../../../common/etcd/watch/reflector.ts';
import { ackKey, fleetKeys, newRequestId, proxyKey, requestOfKey } from '../../../common/fleet/keys.ts';
import {
  type AckRecord,
  formatAck,
  formatProxy,
  type ProxyRecord,
  type RequestRecord,
  readRequest,
} from '../../../common/fleet/records.ts';
import { patienceMs } from '../eventually.ts';
import { grantLease, put, testLog } from './etcd.ts';

/** Where the tests have their fleet. */
export const fleetPath = '/smartstack/fleet';
const keys = fleetKeys(fleetPath);

/** An acknowledgement of a request, with what a test changes in it. */
export function ackOf(session: string, request: RequestRecord, change: Partial<AckRecord> = {}): AckRecord {
  return {
    result: 'quiet',
    session,
    revision: request.revision,
    appliedAt: '2026-11-28T04:00:00.000Z',
    ms: 1,
    connections: 0,
    queued: 0,
    oldWorkers: 0,
    oldWorkersUnasked: 0,
    reason: null,
    ...change,
  };
}

/** What a stand-in says to a request; undefined: nothing. */
export type Says = (request: RequestRecord) => Partial<AckRecord> | undefined;

/** Stands in for a synapse: has a record in the fleet, and answers each request as the test says. */
export class FakeProxy {
  readonly id: string;
  readonly session = newRequestId();
  /** The requests that are open, by id. */
  readonly requests = new Map<string, RequestRecord>();
  readonly #client: EtcdClient;
  readonly #paths: readonly string[];
  readonly #turns = new Mutex();
  #lease = '0';
  #says: Says;

  constructor(client: EtcdClient, id: string, says: Says, paths: readonly string[] = ['/nerve/services/api']) {
    this.#client = client;
    this.id = id;
    this.#says = says;
    this.#paths = paths;
  }

  /** Takes part from now on, until `signal` aborts. Nothing renews its lease of ten minutes. */
  async start(signal: AbortSignal): Promise<this> {
    this.#lease = await grantLease(this.#client, 600);
    await this.announce();
    const reflector = createReflector(this.#client, { log: testLog() }, signal);
    void reflector.follow(
      keys.requests,
      ({ changed }) => {
        for (const { key, entry } of changed) {
          const id = requestOfKey(keys, key);
          if (id === undefined) continue;
          if (entry === undefined) {
            this.requests.delete(id);
            continue;
          }
          const request = readRequest(entry);
          this.requests.set(id, request);
          void this.#answer(id, request);
        }
      },
      signal,
    );
    return this;
  }

  /** Writes its record. */
  async announce(change: Partial<ProxyRecord> = {}): Promise<void> {
    const record = {
      host: this.id,
      version: '2.0.0',
      session: this.session,
      startedAt: '2026-11-28T04:00:00.000Z',
      paths: this.#paths,
      haproxyProcesses: 1,
      ...change,
    };
    await put(this.#client, proxyKey(keys, this.id), formatProxy(record), this.#lease);
  }

  /** Says something else from now on, about the open requests too. */
  async says(says: Says): Promise<void> {
    this.#says = says;
    for (const [id, request] of this.requests) await this.#answer(id, request);
  }

  /** Dies: its lease ends, and with it all that it wrote. */
  async die(): Promise<void> {
    await this.#client.call((rpc) => rpc.lease.leaseRevoke({ ID: this.#lease }), { totalMs: patienceMs });
  }

  /** One after the other: what it says last is what stands. */
  #answer(id: string, request: RequestRecord): Promise<void> {
    const answer = async (): Promise<void> => {
      const change = this.#says(request);
      if (change === undefined) return;
      const value = formatAck(ackOf(this.session, request, change));
      // The lease may have ended meanwhile.
      await put(this.#client, ackKey(keys, id, this.id), value, this.#lease).catch(() => {});
    };
    return this.#turns.run(answer);
  }
}

/** How many keys there are below a folder of the fleet. */
export async function fleetSize(client: EtcdClient, folder: 'proxies' | 'requests' | 'acks'): Promise<number> {
  return (await list(client, prefixRange(keys[folder]), AbortSignal.timeout(patienceMs))).entries.size;
}
