import { setMaxListeners } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { type LinkedAbort, linkAbort } from '../../common/async/abort.ts';
import { clock, type Timer } from '../../common/async/clock.ts';
import { coalesce, type MarkDirty } from '../../common/async/coalesce.ts';
import { sleep } from '../../common/async/sleep.ts';
import type { LookUpName } from '../../common/net/name-lookup.ts';
import { plainReason } from '../../common/reason.ts';
import { nameLookups } from '../metrics.ts';
import type { DnsConfig } from './dns-options.ts';
import { failed, found, isWaiting, type KnownName, nextLookupMs, unknownName } from './known-name.ts';

/** What {@link NameResolver} uses of its surroundings. */
export interface NameResolverDeps {
  readonly lookUp: LookUpName;
  /** Decides which of several addresses this host takes; see {@link found}. */
  readonly seed: string;
  /** These names have another address, or another reason why they have none. */
  readonly onChange: (names: ReadonlySet<string>) => void;
}

/** Lookups under way at the same time. A name that is not answered holds one of them until its deadline. */
export const concurrentLookups = 128;
/** Names that are followed; further ones have no address. */
export const mostNames = 20_000;
/** Milliseconds in which changes are told together: each takes a new selection of the services that have the name. */
const mergeMs = 50;

/**
 * Names that wait for a lookup, the most urgent kind first: a new name has no address, a known one has one that may be out of
 * date, and a name that failed will mostly fail again.
 */
type QueueName = 'fresh' | 'refresh' | 'retry';

interface Entry {
  known: KnownName;
  /** Services that have the name. */
  uses: number;
  timer?: Timer | undefined;
  /** The lookup that is under way. */
  asking?: LinkedAbort | undefined;
}

/**
 * Keeps the addresses of the host names in use: looks each name up, again before its time to live is over, and keeps the last
 * good address when that fails. The constructor does no I/O; {@link use} begins it.
 */
export class NameResolver {
  readonly #deps: NameResolverDeps;
  readonly #end = new AbortController();
  readonly #entries = new Map<string, Entry>();
  readonly #ofService = new Map<string, ReadonlySet<string>>();
  readonly #queues: Readonly<Record<QueueName, Set<string>>> = {
    fresh: new Set(),
    refresh: new Set(),
    retry: new Set(),
  };
  /** Names above the limit. */
  readonly #surplus = new Set<string>();
  readonly #tell: MarkDirty<string>;
  #options: DnsConfig;
  #running = 0;
  #onSettled: () => void = () => {};

  constructor(options: DnsConfig, deps: NameResolverDeps) {
    this.#options = options;
    this.#deps = deps;
    // Each lookup under way listens to it.
    setMaxListeners(0, this.#end.signal);
    this.#tell = coalesce(async (names) => {
      deps.onChange(names);
      await sleep(mergeMs, this.#end.signal);
    }, this.#end.signal);
  }

  /** Takes other options: all names are looked up again, and keep their addresses meanwhile. */
  configure(options: DnsConfig): void {
    if (isDeepStrictEqual(options, this.#options)) return;
    this.#options = options;
    for (const [name, entry] of this.#entries) {
      if (entry.asking !== undefined) entry.asking.abort();
      else if (!this.#surplus.has(name)) this.#enqueue(name, entry);
    }
    this.#start();
  }

  /** The names that a service has now, in place of those that it had. */
  use(service: string, names: ReadonlySet<string>): void {
    const before = this.#ofService.get(service);
    if (before === names || (before === undefined && names.size === 0)) return;
    if (names.size === 0) this.#ofService.delete(service);
    else this.#ofService.set(service, names);
    for (const name of names) if (before?.has(name) !== true) this.#add(name);
    for (const name of before ?? []) if (!names.has(name)) this.#drop(name);
    this.#start();
  }

  /** What is known of a name; undefined when no service has it. */
  look(name: string): KnownName | undefined {
    return this.#entries.get(name)?.known;
  }

  /** All names in use. */
  *all(): Iterable<readonly [name: string, known: KnownName]> {
    for (const [name, { known }] of this.#entries) yield [name, known];
  }

  /** Waits until no name waits for its first answer, or `signal` aborts. */
  async settled(signal: AbortSignal): Promise<void> {
    const isSettled = (): boolean => [...this.#entries.values()].every(({ known }) => !isWaiting(known));
    if (signal.aborted || isSettled()) return;
    const all = linkAbort(signal);
    this.#onSettled = () => {
      if (isSettled()) all.abort();
    };
    await new Promise<void>((resolve) => all.signal.addEventListener('abort', () => resolve(), { once: true }));
    all.release();
    this.#onSettled = () => {};
  }

  /** Ends everything. */
  end(): void {
    this.#end.abort();
    for (const { timer } of this.#entries.values()) clock.clearTimeout(timer);
  }

  #add(name: string): void {
    const known = this.#entries.get(name);
    if (known !== undefined) {
      known.uses += 1;
      return;
    }
    const entry: Entry = { known: unknownName, uses: 1 };
    this.#entries.set(name, entry);
    if (this.#entries.size - this.#surplus.size <= mostNames) {
      this.#enqueue(name, entry);
      return;
    }
    this.#surplus.add(name);
    entry.known = failed(unknownName, `there are more than ${mostNames} host names`);
  }

  #drop(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    entry.uses -= 1;
    if (entry.uses > 0) return;
    this.#entries.delete(name);
    clock.clearTimeout(entry.timer);
    entry.asking?.abort();
    for (const queue of Object.values(this.#queues)) queue.delete(name);
    if (this.#surplus.delete(name)) return;
    const [next] = this.#surplus;
    const waiting = next === undefined ? undefined : this.#entries.get(next);
    if (next === undefined || waiting === undefined) return;
    this.#surplus.delete(next);
    waiting.known = unknownName;
    this.#enqueue(next, waiting);
  }

  #enqueue(name: string, entry: Entry): void {
    clock.clearTimeout(entry.timer);
    entry.timer = undefined;
    const { known } = entry;
    this.#queues[isWaiting(known) ? 'fresh' : known.failures > 0 ? 'retry' : 'refresh'].add(name);
  }

  /** Starts as many lookups as may be under way. */
  #start(): void {
    const { fresh, refresh, retry } = this.#queues;
    while (this.#running < concurrentLookups && !this.#end.signal.aborted) {
      const queue = [fresh, refresh, retry].find(({ size }) => size > 0);
      const [name] = queue ?? [];
      if (queue === undefined || name === undefined) return;
      queue.delete(name);
      const entry = this.#entries.get(name);
      if (entry !== undefined) void this.#lookUp(name, entry);
    }
  }

  /** Looks a name up once. Never rejects. */
  async #lookUp(name: string, entry: Entry): Promise<void> {
    const { nameserver: nameservers, timeout: timeoutMs, prefer } = this.#options;
    const asking = linkAbort(this.#end.signal);
    const { signal } = asking;
    entry.asking = asking;
    this.#running += 1;
    let next: KnownName | undefined;
    let ttl = 0;
    try {
      const { addresses, ttlSeconds } = await this.#deps.lookUp(name, { nameservers, timeoutMs, prefer }, signal);
      next = found(entry.known, name, { addresses, seed: this.#deps.seed });
      ttl = ttlSeconds;
    } catch (error) {
      if (!signal.aborted) next = failed(entry.known, plainReason(error));
    }
    asking.release();
    entry.asking = undefined;
    this.#running -= 1;
    if (this.#entries.get(name) === entry && !this.#end.signal.aborted) {
      if (next === undefined || signal.aborted) this.#enqueue(name, entry);
      else this.#take(name, entry, { next, ttlSeconds: ttl });
    }
    this.#start();
  }

  #take(
    name: string,
    entry: Entry,
    { next, ttlSeconds }: { readonly next: KnownName; readonly ttlSeconds: number },
  ): void {
    nameLookups.inc({ result: next.failures === 0 ? 'ok' : 'failed' });
    const before = entry.known;
    entry.known = next;
    const again = (): void => {
      this.#enqueue(name, entry);
      this.#start();
    };
    entry.timer = clock.setTimeout(again, nextLookupMs(next, ttlSeconds, clock.random()));
    entry.timer.unref();
    if (before.address !== next.address || before.reason !== next.reason) this.#tell(name);
    if (isWaiting(before)) this.#onSettled();
  }
}
