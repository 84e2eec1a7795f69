import { clock } from '../../async/clock.ts';
import { sleep } from '../../async/sleep.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import type { EtcdClient } from '../client/client.ts';
import { hex } from '../client/key-value.ts';
import { rivalMarginMs } from './timing.ts';

/** Another process that lives and announces keys of this one. */
export interface RivalLease {
  /** In hexadecimal, as `etcdctl lease` prints it. */
  readonly lease: string;
  /** One of the keys. */
  readonly key: string;
}

/** A lease under which a key was found that this process has taken over. */
interface Found {
  readonly key: string;
  /** By `clock.now()`. */
  readonly at: number;
  readonly isRival: boolean;
}

/** The most leases that are asked about: after a crash, a predecessor has left one. */
const mostLeases = 8;

/**
 * Finds out whether a process that had our keys before us still lives. A predecessor's lease ends, at the latest when its TTL is
 * over; one that lives for longer is renewed: two processes have one identity. Asks etcd only while such leases are known.
 */
export class RivalLeases {
  readonly #client: EtcdClient;
  readonly #everyMs: number;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  readonly #found = new Map<string, Found>();
  #isAsking = false;

  /** `everyMs`: how often etcd is asked. */
  constructor(
    client: EtcdClient,
    { everyMs }: { everyMs: number },
    { log }: { readonly log: Log },
    signal: AbortSignal,
  ) {
    this.#client = client;
    this.#everyMs = everyMs;
    this.#log = log;
    this.#signal = signal;
  }

  /** The processes that are known to live. */
  get rivals(): readonly RivalLease[] {
    return [...this.#found]
      .filter(([, { isRival }]) => isRival)
      .map(([lease, { key }]) => ({ lease: hex(lease), key }));
  }

  /** Notes the lease of a key that is about to be taken over. */
  add(lease: string, key: string): void {
    if (lease === '0' || this.#found.has(lease) || this.#found.size >= mostLeases) return;
    this.#found.set(lease, { key, at: clock.now(), isRival: false });
    if (!this.#isAsking) void this.#ask();
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    while (this.#found.size > 0) {
      await sleep(this.#everyMs, this.#signal);
      if (this.#signal.aborted) return;
      for (const [lease, found] of [...this.#found]) await this.#judge(lease, found);
    }
    this.#isAsking = false;
  }

  async #judge(lease: string, found: Found): Promise<void> {
    const askedAt = clock.now();
    try {
      const { TTL, grantedTTL } = await this.#client.call(
        (rpc) => rpc.lease.leaseTimeToLive({ ID: lease }),
        { maxTries: 2 },
        this.#signal,
      );
      if (!(Number(TTL) > 0)) this.#forget(lease, found);
      else if (!found.isRival && askedAt - found.at > Number(grantedTTL) * 1_000 + rivalMarginMs) {
        this.#found.set(lease, { ...found, isRival: true });
        const fields = { lease: hex(lease), key: found.key };
        this.#log.error('another process lives that announces the same etcd keys', fields);
      }
    } catch (error) {
      if (this.#signal.aborted) return;
      this.#log.debug('etcd did not say whether a predecessor lives', { lease: hex(lease), reason: reasonOf(error) });
    }
  }

  #forget(lease: string, { isRival }: Found): void {
    this.#found.delete(lease);
    if (isRival) this.#log.info('the other process that announced the same etcd keys has ended', { lease: hex(lease) });
  }
}
