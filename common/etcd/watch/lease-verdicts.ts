import { clock } from '../../async/clock.ts';
import { Semaphore } from '../../async/semaphore.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import type { EtcdClient } from '../client/client.ts';
import { hex } from '../client/key-value.ts';

/** How a lease is that had a key which etcd deleted: `alive`, or `gone`, which is also the answer when etcd says nothing. */
export type LeaseVerdict = 'alive' | 'gone';

/** Limits of the questions about leases. */
export const leaseQuestions = {
  /** Milliseconds for one answer; a lease without one counts as gone. */
  deadlineMs: 1_500,
  /** Questions under way at the same time. */
  concurrent: 4,
  /** Leases asked about within {@link leaseQuestions.windowMs}: ten thousand readers must not ask for ten thousand leases each. */
  sample: 50,
  windowMs: 10_000,
  /** Milliseconds for which it is remembered that a lease is gone: its keys under other prefixes may be told of later. */
  rememberMs: 10_000,
} as const;

/** Asks etcd whether leases still live, once for each lease. Shared by all prefixes of a cluster. */
export class LeaseVerdicts {
  readonly #client: EtcdClient;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  readonly #permits = new Semaphore(leaseQuestions.concurrent);
  /** By lease: questions under way, and for {@link leaseQuestions.rememberMs} the leases that are gone. */
  readonly #verdicts = new Map<string, Promise<LeaseVerdict>>();
  #windowBegan = Number.NEGATIVE_INFINITY;
  #asked = 0;

  /** Asks nothing yet. Questions under way end when `signal` aborts. */
  constructor(client: EtcdClient, { log }: { readonly log: Log }, signal: AbortSignal) {
    this.#client = client;
    this.#log = log;
    this.#signal = signal;
  }

  /** The verdict about one lease. Never rejects. */
  of(lease: string): Promise<LeaseVerdict> {
    const known = this.#verdicts.get(lease);
    if (known !== undefined) return known;
    const verdict = this.#mayAsk() ? this.#permits.run(() => this.#ask(lease)) : Promise.resolve('gone' as const);
    this.#verdicts.set(lease, verdict);
    void verdict.then((result) => {
      // A lease that lives may be lost at any time.
      if (result === 'alive') this.#verdicts.delete(lease);
      else clock.setTimeout(() => this.#verdicts.delete(lease), leaseQuestions.rememberMs).unref();
    });
    return verdict;
  }

  /** False for the leases of a large wave beyond the sample: they count as gone, and a look at their instances decides. */
  #mayAsk(): boolean {
    const now = clock.now();
    if (now >= this.#windowBegan + leaseQuestions.windowMs) {
      this.#windowBegan = now;
      this.#asked = 0;
    }
    this.#asked += 1;
    return this.#asked <= leaseQuestions.sample;
  }

  async #ask(lease: string): Promise<LeaseVerdict> {
    const { deadlineMs } = leaseQuestions;
    const limits = { totalMs: deadlineMs, attemptMs: deadlineMs / 2 };
    try {
      const { TTL } = await this.#client.call((rpc) => rpc.lease.leaseTimeToLive({ ID: lease }), limits, this.#signal);
      // 0: it has expired and is about to be revoked; -1: etcd does not know it.
      const verdict = Number(TTL) > 0 ? 'alive' : 'gone';
      this.#log.debug('etcd was asked about a lease', { lease: hex(lease), ttl: TTL, verdict });
      return verdict;
    } catch (error) {
      if (!this.#signal.aborted) {
        this.#log.debug('etcd did not say whether a lease lives', { lease: hex(lease), reason: reasonOf(error) });
      }
      return 'gone';
    }
  }
}
