import { onAbort } from '../../async/abort.ts';
import { clock } from '../../async/clock.ts';
import { sleep } from '../../async/sleep.ts';
import type { LeaseVerdict } from './lease-verdicts.ts';
import type { KeyChange, OnChange, PrefixChange } from './prefix-state.ts';

/** What one follower knows of its deleted keys. */
export interface JudgedFollower {
  /** True when the record of this key said `down` before it was deleted: the delete is a farewell. */
  readonly saidDown: (deleted: KeyChange) => boolean;
}

/** What the judge uses of its surroundings. */
export interface DeleteJudgeDeps {
  /** Says whether a lease lives; never rejects. */
  readonly verdictOf: (lease: string) => Promise<LeaseVerdict>;
  /** Milliseconds for which the owner of a lost lease may come back, because etcd may have revoked it by mistake; 0: none. */
  readonly mayReturnMs: () => number;
}

/** A delete that waits for the verdict about its lease. */
interface Pending {
  readonly deleted: KeyChange;
  readonly lease: string;
}

/**
 * Says of each deleted key how it went: `withdrawn`, when its record said `down`, when it was under no lease, or when its
 * lease lives; `lost`, when its lease is gone. While etcd is asked, the key stays. All keys of a lost lease, under all
 * prefixes, are passed on in one tick. A key that its owner puts again meanwhile was never gone.
 */
export class DeleteJudge {
  readonly #deps: DeleteJudgeDeps;
  readonly #signal: AbortSignal;
  readonly #followers = new Set<Follower>();
  /** Leases that are being asked about. */
  readonly #asking = new Set<string>();

  /** Judges until `signal` aborts. */
  constructor(deps: DeleteJudgeDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
  }

  /** Stands between a reflector and `onChange`, for one prefix, until `signal` aborts. */
  follow(onChange: OnChange, follower: JudgedFollower, signal: AbortSignal): OnChange {
    const one = new Follower(onChange, follower, (lease) => this.#judge(lease));
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
    if (leftMs > 0) await sleep(leftMs, this.#signal);
    if (!this.#signal.aborted) this.#settle(lease, verdict);
  }

  #settle(lease: string, verdict: LeaseVerdict): void {
    this.#asking.delete(lease);
    for (const follower of [...this.#followers]) follower.settle(lease, verdict === 'alive' ? 'withdrawn' : 'lost');
  }
}

class Follower {
  readonly #onChange: OnChange;
  readonly #saidDown: (deleted: KeyChange) => boolean;
  readonly #judge: (lease: string) => void;
  /** Deletes that wait, by key. */
  readonly #pending = new Map<string, Pending>();
  /** The last change: deletes are passed on as another change of it. */
  #last: PrefixChange | undefined;
  #isOver = false;

  constructor(onChange: OnChange, { saidDown }: JudgedFollower, judge: (lease: string) => void) {
    this.#onChange = onChange;
    this.#saidDown = saidDown;
    this.#judge = judge;
  }

  end(): void {
    this.#isOver = true;
    this.#pending.clear();
  }

  take(change: PrefixChange): void {
    this.#last = change;
    const passed: KeyChange[] = [];
    const leases = new Set<string>();
    for (const item of change.changed) {
      this.#pending.delete(item.key);
      const lease = item.previous?.lease ?? '0';
      if (item.entry !== undefined) passed.push(item);
      else if (this.#isOver || lease === '0' || this.#saidDown(item)) passed.push({ ...item, how: 'withdrawn' });
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
    for (const lease of leases) if (!alive.has(lease)) this.#judge(lease);
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
