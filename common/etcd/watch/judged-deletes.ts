import { linkAbort, onAbort } from '../../async/abort.ts';
import { clock } from '../../async/clock.ts';
import { sleep } from '../../async/sleep.ts';
import { addTo } from '../../map-of-sets.ts';
import type { Entry } from '../client/key-value.ts';
import type { LeaseVerdict } from './lease-verdicts.ts';
import type { KeyChange, OnChange, PrefixChange } from './prefix-state.ts';

/** What one follower knows of its deleted keys. */
export interface JudgedFollower {
  /** True when the record of this key said `down` before it was deleted: the delete is a farewell. */
  readonly saidDown: (deleted: KeyChange) => boolean;
  /** Where the instance of a record listens; undefined for a record that announces none. */
  readonly addressOf: (entry: Entry) => string | undefined;
}

/** What the judge uses of its surroundings. */
export interface DeleteJudgeDeps {
  /** Says whether a lease lives; never rejects. */
  readonly verdictOf: (lease: string) => Promise<LeaseVerdict>;
  /** Milliseconds for which the owner of a lost lease may come back, because etcd may have revoked it by mistake; 0: none. */
  readonly mayReturnMs: () => number;
}

/** For how long the addresses that were read from all records are used, milliseconds. */
const addressesLiveMs = 1_000;

/** Address → the leases under which it is announced. */
type LeasesByAddress = ReadonlyMap<string, ReadonlySet<string>>;

/** A delete that waits for the verdict about its lease. */
interface Pending {
  readonly deleted: KeyChange;
  readonly lease: string;
}

/** A key that was put, and the lease of its delete when one was waiting. */
interface News {
  readonly entry: Entry;
  readonly lostLease: string | undefined;
}

/**
 * Says of each deleted key how it went: `withdrawn`, when its record said `down`, when it was under no lease, or when its
 * lease lives; `lost`, when its lease is gone. While etcd is asked, the key stays. All keys of a lost lease, under all
 * prefixes, are passed on in one tick. A key that its owner puts again meanwhile was never gone. A lost lease is passed on
 * at once when something else is announced at the address of one of its keys: its owner will not come back to it.
 */
export class DeleteJudge {
  readonly #deps: DeleteJudgeDeps;
  readonly #signal: AbortSignal;
  readonly #followers = new Set<Follower>();
  /** Leases that are being asked about. */
  readonly #asking = new Set<string>();
  /** Lost leases whose owners may come back, each with what ends the wait. */
  readonly #waiting = new Map<string, () => void>();
  /** Every address that is announced, as it was lately: reading all records takes milliseconds. */
  #announcedLately: { readonly at: number; readonly addresses: Map<string, Set<string>> } | undefined;

  /** Judges until `signal` aborts. */
  constructor(deps: DeleteJudgeDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
  }

  /** How many deletes are not passed on yet, under all prefixes. */
  get pending(): number {
    let count = 0;
    for (const follower of this.#followers) count += follower.pending;
    return count;
  }

  /** Stands between a reflector and `onChange`, for one prefix, until `signal` aborts. */
  follow(onChange: OnChange, follower: JudgedFollower, signal: AbortSignal): OnChange {
    const one = new Follower(onChange, follower, {
      judge: (lease) => this.#judge(lease),
      isWaiting: () => this.#waiting.size > 0,
      announced: (address, news) => this.#announced(address, news),
    });
    this.#followers.add(one);
    onAbort(signal, () => {
      this.#followers.delete(one);
      one.end();
    });
    return (change) => one.take(change);
  }

  #judge(lease: string): void {
    if (this.#asking.has(lease)) return;
    this.#asking.add(lease);
    void this.#decide(lease);
  }

  async #decide(lease: string): Promise<void> {
    const since = clock.now();
    const verdict = await this.#deps.verdictOf(lease);
    const leftMs = verdict === 'alive' ? 0 : since + this.#deps.mayReturnMs() - clock.now();
    if (leftMs > 0) await this.#wait(lease, leftMs);
    if (!this.#signal.aborted) this.#settle(lease, verdict);
  }

  /** Waits for the owner of a lost lease, unless something else is announced at one of its addresses already, or soon. */
  async #wait(lease: string, delayMs: number): Promise<void> {
    const addresses = this.#addresses();
    if ([...this.#followers].some((follower) => follower.waitsAt(addresses, lease))) return;
    const wake = linkAbort(this.#signal);
    this.#waiting.set(lease, wake.abort);
    await sleep(delayMs, wake.signal);
    this.#waiting.delete(lease);
    wake.release();
    if (this.#waiting.size === 0) this.#announcedLately = undefined;
  }

  #addresses(): LeasesByAddress {
    const now = clock.now();
    if (this.#announcedLately === undefined || now - this.#announcedLately.at > addressesLiveMs) {
      const addresses = new Map<string, Set<string>>();
      for (const follower of this.#followers) {
        for (const [address, lease] of follower.addresses()) addTo(addresses, address, lease);
      }
      this.#announcedLately = { at: now, addresses };
    }
    return this.#announcedLately.addresses;
  }

  /** Something is announced at an address. A service that was there under the lost lease too is the owner's own. */
  #announced(address: string, { entry, lostLease }: News): void {
    if (this.#announcedLately !== undefined) addTo(this.#announcedLately.addresses, address, entry.lease);
    const addresses = new Map([[address, new Set([entry.lease])]]);
    for (const [lease, end] of this.#waiting) {
      if (lease === lostLease) continue;
      if ([...this.#followers].some((follower) => follower.waitsAt(addresses, lease))) end();
    }
  }

  #settle(lease: string, verdict: LeaseVerdict): void {
    this.#asking.delete(lease);
    for (const follower of [...this.#followers]) follower.settle(lease, verdict === 'alive' ? 'withdrawn' : 'lost');
  }
}

/** What a follower tells its judge. */
interface Court {
  readonly judge: (lease: string) => void;
  /** True while the owner of a lost lease may come back. */
  readonly isWaiting: () => boolean;
  readonly announced: (address: string, news: News) => void;
}

class Follower {
  readonly #onChange: OnChange;
  readonly #reads: JudgedFollower;
  readonly #court: Court;
  /** Deletes that wait, by key. */
  readonly #pending = new Map<string, Pending>();
  /** The last change: deletes are passed on as another change of it. */
  #last: PrefixChange | undefined;
  #isOver = false;

  constructor(onChange: OnChange, reads: JudgedFollower, court: Court) {
    this.#onChange = onChange;
    this.#reads = reads;
    this.#court = court;
  }

  /** How many deletes wait. */
  get pending(): number {
    return this.#pending.size;
  }

  end(): void {
    this.#isOver = true;
    this.#pending.clear();
  }

  take(change: PrefixChange): void {
    this.#last = change;
    const passed: KeyChange[] = [];
    const leases = new Set<string>();
    const news: News[] | undefined = this.#court.isWaiting() ? [] : undefined;
    for (const item of change.changed) {
      const lostLease = this.#pending.get(item.key)?.lease;
      this.#pending.delete(item.key);
      const lease = item.previous?.lease ?? '0';
      if (item.entry !== undefined) {
        passed.push(item);
        news?.push({ entry: item.entry, lostLease });
      } else if (this.#isOver || lease === '0' || this.#reads.saidDown(item))
        passed.push({ ...item, how: 'withdrawn' });
      else {
        this.#pending.set(item.key, { deleted: item, lease });
        leases.add(lease);
      }
    }
    const alive = leases.size === 0 ? leases : leasesAmong(change, leases);
    for (const lease of alive) passed.push(...this.#takePending(lease, 'withdrawn'));
    // A first list is passed on even when it is empty: it says that there are no keys.
    if (passed.length > 0 || change.changed.length === 0) {
      // A whole list would say that the keys of waiting deletes are gone: then only the differences are passed on.
      this.#onChange(
        this.#pending.size === 0 ? { ...change, changed: passed } : { ...change, changed: passed, reason: 'watch' },
      );
    }
    for (const lease of leases) if (!alive.has(lease)) this.#court.judge(lease);
    for (const one of news ?? []) {
      const address = this.#reads.addressOf(one.entry);
      if (address !== undefined) this.#court.announced(address, one);
    }
  }

  /** True when a delete waits whose record had this lease, and an address that is announced under another one. */
  waitsAt(announced: LeasesByAddress, lease: string): boolean {
    return [...this.#pending.values()].some(({ deleted: { previous }, lease: own }) => {
      if (own !== lease || previous === undefined) return false;
      const leases = announced.get(this.#reads.addressOf(previous) ?? '') ?? [];
      return [...leases].some((other) => other !== lease);
    });
  }

  /** Every address that the prefix announces, with its lease. */
  *addresses(): Iterable<readonly [address: string, lease: string]> {
    for (const entry of this.#last?.entries.values() ?? []) {
      const address = this.#reads.addressOf(entry);
      if (address !== undefined) yield [address, entry.lease];
    }
  }

  /** Passes on the deletes of a lease. */
  settle(lease: string, how: 'withdrawn' | 'lost'): void {
    const changed = this.#takePending(lease, how);
    if (changed.length === 0 || this.#last === undefined) return;
    this.#onChange({ ...this.#last, changed, seenAt: clock.now(), reason: 'watch' });
  }

  #takePending(lease: string, how: 'withdrawn' | 'lost'): readonly KeyChange[] {
    const taken = [...this.#pending.values()].filter((one) => one.lease === lease);
    for (const { deleted } of taken) this.#pending.delete(deleted.key);
    return taken.map(({ deleted }) => ({ ...deleted, how }));
  }
}

/**
 * Those of `leases` that another key still has: they live. Keys of one prefix are seen at one revision, and etcd deletes
 * all keys of a lease at one; keys under other prefixes may just not have been told of yet.
 */
function leasesAmong({ entries }: PrefixChange, leases: ReadonlySet<string>): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { lease } of entries.values()) {
    if (leases.has(lease)) found.add(lease);
    if (found.size === leases.size) break;
  }
  return found;
}
