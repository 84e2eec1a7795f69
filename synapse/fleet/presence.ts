import { clock } from '../../common/async/clock.ts';
import { sleep } from '../../common/async/sleep.ts';
import type { Log } from '../../common/daemon/log.ts';
import type { EtcdClient } from '../../common/etcd/client/client.ts';
import { isDenied } from '../../common/etcd/client/errors.ts';
import { prefixRange } from '../../common/etcd/client/key-value.ts';
import { createLeasedKeys, type LeasedKeys } from '../../common/etcd/keys/leased-keys.ts';
import { ackKey, type FleetKeys, proxyKey } from '../../common/fleet/keys.ts';
import { type AckRecord, formatAck, formatProxy, type ProxyRecord } from '../../common/fleet/records.ts';

/** What {@link Presence} needs. */
export interface PresenceDeps {
  readonly log: Log;
  readonly client: EtcdClient;
  readonly keys: FleetKeys;
  readonly id: string;
  /** Why the requests may not be read; null when they may. */
  readonly whyBlind: () => string | null;
}

/** The lease of a synapse in the fleet: one that dies leaves the count within this time. */
const ttlSeconds = 15;
/** How often it is checked whether the key could be written. */
const checkMs = 200;
/** How long to wait before a user who may not write is tried again, give or take a half: the whole fleet may have no right. */
const deniedMs = 600_000;
/** How often the proxies are counted. */
const countEveryMs = 600_000;
const countTimeoutMs = 5_000;
/** Up to this number of proxies, acknowledgements are written at once; with more, each adds this much to the time of all. */
const spread = { most: 9, msPerProxy: 0.2 } as const;

/** The keys of this synapse in the fleet, under one lease: that of the proxy, and its acknowledgements. */
export class Presence {
  readonly #deps: PresenceDeps;
  #leased: LeasedKeys | undefined;
  /** The record to hold; undefined before the first. */
  #record: ProxyRecord | undefined;
  #denied: string | null = null;
  #proxies: number | undefined;
  /** Acknowledgements that wait for their time: what was handed on last, or null to withdraw it. */
  readonly #waiting = new Map<string, string | null>();

  /** Does no I/O. */
  constructor(deps: PresenceDeps) {
    this.#deps = deps;
  }

  /** Why this synapse does not take part; null while it does. */
  get reason(): string | null {
    if (this.#denied !== null) return this.#denied;
    if (this.isShared) return `another synapse has the id ${this.#deps.id} too`;
    const { keys, id } = this.#deps;
    const key = this.#leased?.keyStatus(proxyKey(keys, id));
    if (key === undefined) return 'it has not begun yet';
    return key.settled ? null : (key.reason ?? this.#leased?.status.reason ?? 'its key has not been written yet');
  }

  /** Another synapse has written its record under the key of this one. */
  get isShared(): boolean {
    const { keys, id } = this.#deps;
    return this.#leased?.keyStatus(proxyKey(keys, id))?.isOthers === true;
  }

  /** How many proxies there were when they were last counted; undefined while that is not known. */
  get proxies(): number | undefined {
    return this.#proxies;
  }

  /** Has the key of this synapse hold this record from now on. */
  set(record: ProxyRecord): void {
    this.#record = record;
    const { keys, id } = this.#deps;
    this.#leased?.set(proxyKey(keys, id), formatProxy(record));
  }

  /**
   * Holds the keys until `signal` aborts, then removes them. `onHeld` is called whenever the key of this synapse has been
   * written; its signal aborts when this synapse takes no part any more.
   */
  async run(onHeld: (signal: AbortSignal) => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const part = new AbortController();
      // The keys outlive the signal, to be removed.
      const leased = createLeasedKeys(
        this.#deps.client,
        { ttlSeconds },
        { log: this.#deps.log },
        new AbortController().signal,
      );
      this.#leased = leased;
      if (this.#record !== undefined) this.set(this.#record);
      this.#denied = await this.#hold(leased, () => onHeld(part.signal), signal);
      part.abort();
      this.#waiting.clear();
      await leased.close({ timeoutMs: closeMs });
      this.#leased = undefined;
      if (this.#denied === null) continue;
      this.#deps.log.warn(
        'this synapse takes no part in the fleet: commands that wait for all proxies do not count it',
        {
          reason: this.#denied,
          remedy: 'give its user the rights in etcd, or set fleet: false',
        },
      );
      await sleep(deniedMs * (0.5 + clock.random()), signal);
    }
  }

  /** Has an acknowledgement written: at once, or when its time comes in a large fleet. */
  acknowledge(request: string, record: AckRecord, options: { readonly atOnce: boolean }): void {
    this.#later(request, formatAck(record), options);
  }

  /** Has the acknowledgement of a request removed. */
  withdraw(request: string): void {
    this.#later(request, null, { atOnce: false });
  }

  /** @returns why this user may not write, or read the requests; null when `signal` aborted */
  async #hold(leased: LeasedKeys, onHeld: () => void, signal: AbortSignal): Promise<string | null> {
    const { keys, id } = this.#deps;
    const key = proxyKey(keys, id);
    let isHeld = false;
    let countAt = 0;
    while (!signal.aborted) {
      const { settled = false, reason = null } = leased.keyStatus(key) ?? {};
      if (!settled && reason !== null && isDenied(reason)) return reason;
      const blind = isHeld ? this.#deps.whyBlind() : null;
      if (blind !== null) return blind;
      if (settled && !isHeld) onHeld();
      isHeld ||= settled;
      if (isHeld && clock.now() >= countAt) {
        countAt = clock.now() + countEveryMs * (0.5 + clock.random());
        void this.#count(signal);
      }
      await sleep(isHeld ? 25 * checkMs : checkMs, signal);
    }
    return null;
  }

  async #count(signal: AbortSignal): Promise<void> {
    const { client, keys, log } = this.#deps;
    const { key, end } = prefixRange(keys.proxies);
    try {
      const answer = await client.call(
        (rpc) => rpc.kv.range({ key, range_end: end, count_only: true, serializable: true }),
        { totalMs: countTimeoutMs },
        signal,
      );
      this.#proxies = Number(answer.count);
    } catch {
      log.debug('the proxies of the fleet could not be counted');
    }
  }

  #later(request: string, value: string | null, { atOnce }: { readonly atOnce: boolean }): void {
    const proxies = this.#proxies ?? 0;
    const delayMs = atOnce || proxies <= spread.most ? 0 : clock.random() * proxies * spread.msPerProxy;
    const isWaiting = this.#waiting.has(request);
    this.#waiting.set(request, value);
    if (delayMs === 0) this.#write(request);
    else if (!isWaiting) clock.setTimeout(() => this.#write(request), delayMs).unref();
  }

  #write(request: string): void {
    const value = this.#waiting.get(request);
    if (value === undefined) return;
    this.#waiting.delete(request);
    const { keys, id } = this.#deps;
    const key = ackKey(keys, request, id);
    // Nobody else can have it: the id of a request is new, and so is that of its lease.
    if (value !== null) this.#leased?.set(key, value, { isNew: true });
    else this.#leased?.unset(key, undefined, { forget: true });
  }
}

/** How long the keys of a synapse that ends may take to be removed; their lease removes them otherwise. */
const closeMs = 1_000;
