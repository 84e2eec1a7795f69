import { clock } from '../../async/clock.ts';
import { sleep } from '../../async/sleep.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import type { EtcdClient } from '../client/client.ts';
import { losesEvents } from '../client/version.ts';
import { readKeys } from './key-operations.ts';
import type { KeyReconciler } from './key-reconciler.ts';
import { KeyWatch } from './key-watch.ts';
import { keyRepairs } from './metrics.ts';
import { isResting, type OwnedKey } from './owned-key.ts';
import { repairReportDelayMs, verifyJitter, watchedVerifyFactor } from './timing.ts';

/**
 * Notices what others do to our keys, and tells the reconciler, which repairs them: keys that were deleted or
 * overwritten, and writes of ours that came late. Watches the keys, and reads them now and then; less often while the
 * watch works.
 */
export class KeyRepair {
  readonly #client: EtcdClient;
  readonly #verifyEveryMs: number;
  readonly #reconciler: KeyReconciler;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  readonly #watch: KeyWatch;
  /** Keys that were found wrong and have not been logged yet. */
  readonly #unreported = new Set<string>();
  #verifiedAt = clock.now();

  constructor(
    client: EtcdClient,
    { verifyEveryMs }: { readonly verifyEveryMs: number },
    { log, reconciler }: { readonly log: Log; readonly reconciler: KeyReconciler },
    signal: AbortSignal,
  ) {
    this.#client = client;
    this.#verifyEveryMs = verifyEveryMs;
    this.#reconciler = reconciler;
    this.#log = log;
    this.#signal = signal;
    this.#watch = new KeyWatch(
      client,
      {
        log,
        catchUp: (abort) => this.#verify(abort),
        onVersion: (key, version) => reconciler.dispatch(key, { kind: 'watched', version }),
      },
      signal,
    );
  }

  /** The member over which the keys are watched; null while they are only read now and then. */
  get watching(): string | null {
    return this.#watch.member;
  }

  /** Reads the keys now and then until the signal aborts; to be called once. */
  start(): void {
    void this.#verifyLoop();
  }

  /** To be called when no request is under way for a key any more: watches it when it should be there. */
  onRest({ key, desired, observed }: OwnedKey): void {
    const revision = Number(observed?.modRevision ?? 0);
    if (desired.kind === 'unset') this.#watch.remove(key);
    else if (revision > 0) this.#watch.add(key, revision);
  }

  /** Counts a change by others, and logs it: one line for all keys that were changed together. */
  onRepair(key: string, noticedBy: 'watch' | 'read'): void {
    keyRepairs.inc({ noticed: noticedBy });
    const isFirst = this.#unreported.size === 0;
    this.#unreported.add(key);
    if (!isFirst) return;
    // A lost lease takes all keys with it, one after the other.
    const report = (): void => {
      const fields = { keys: this.#unreported.size, first: key };
      this.#log.warn('etcd keys were deleted or changed by others, repairing them', fields);
      this.#unreported.clear();
    };
    clock.setTimeout(report, repairReportDelayMs).unref();
  }

  async #verifyLoop(): Promise<void> {
    while (!this.#signal.aborted) {
      await sleep(this.#verifyEveryMs * (1 - clock.random() * verifyJitter), this.#signal);
      if (this.#signal.aborted || this.#reconciler.size === 0) continue;
      const isWatched = this.#watch.member !== null && !losesEvents(this.#client.status.version ?? undefined);
      if (isWatched && clock.now() - this.#verifiedAt < watchedVerifyFactor * this.#verifyEveryMs) continue;
      try {
        await this.#verify(this.#signal);
      } catch (error) {
        this.#log.debug('etcd keys could not be verified', { reason: reasonOf(error) });
      }
    }
  }

  /** Reads all keys that are at rest. @returns the revision at which each key that should be there was read */
  async #verify(signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
    const before = new Map(
      this.#reconciler
        .keys()
        .filter(isResting)
        .map(({ key, observed }) => [key, observed]),
    );
    const found = await readKeys(this.#client, [...before.keys()], signal);
    const revisions = new Map<string, number>();
    for (const [key, { revision, observed }] of found) {
      if (this.#reconciler.get(key)?.desired.kind === 'set') revisions.set(key, revision);
      this.#reconciler.dispatch(key, { kind: 'verified', observed, since: before.get(key) });
    }
    this.#verifiedAt = clock.now();
    return revisions;
  }
}
