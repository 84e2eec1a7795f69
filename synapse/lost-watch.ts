import { setMaxListeners } from 'node:events';
import { clock, type Timer } from '../common/async/clock.ts';
import { coalesce, type MarkDirty } from '../common/async/coalesce.ts';
import { sleep } from '../common/async/sleep.ts';
import type { Host, TcpAddress } from '../common/host.ts';
import { announcementsIn } from './catalog/announced.ts';
import type { Catalog } from './catalog/catalog.ts';
import type { CatalogChange } from './catalog/catalog-entry.ts';
import { Looks } from './catalog/looks.ts';
import type { LostInstance } from './catalog/lost-instance.ts';
import type { LookResult } from './catalog/lost-state.ts';
import type { ServicesStatistics } from './haproxy/statistics/counters.ts';

/** What the watch over lost instances uses of its surroundings. */
export interface LostWatchDeps {
  readonly host: Pick<Host, 'tryConnect'>;
  /** The address of a host name; undefined while it has none. */
  readonly resolve: (name: string) => string | undefined;
  /** HAProxy's own counters of a service. */
  readonly statistics: (service: string) => Promise<ServicesStatistics>;
  /** Acts on what changed in the catalog. */
  readonly take: (changes: readonly CatalogChange[]) => void;
}

/** Milliseconds in which looks share what HAProxy says, and their results are taken together: there may be thousands. */
const mergeMs = 50;

/** The servers of a service that HAProxy checks, as it sees them, by name. */
type ServerChecks = ReadonlyMap<string, 'up' | 'down'>;

/** Carries out what the catalog decides about lost instances: looks at them, and its timer. */
export class LostWatch {
  readonly #catalog: Catalog;
  readonly #deps: LostWatchDeps;
  readonly #end = new AbortController();
  readonly #looks: Looks;
  readonly #looked: MarkDirty<LookResult>;
  readonly #lastChecks = new Map<string, { readonly until: number; readonly checks: Promise<ServerChecks> }>();
  #timer: Timer | undefined;
  /** For when the timer is set, in milliseconds of `clock.now()`. */
  #timerAt: number | undefined;

  /** Does nothing before {@link take}. */
  constructor(catalog: Catalog, deps: LostWatchDeps) {
    this.#catalog = catalog;
    this.#deps = deps;
    // Each look under way listens to it.
    setMaxListeners(0, this.#end.signal);
    this.#looked = coalesce(async (results) => {
      this.#deps.take(this.#catalog.looked([...results]));
      await sleep(mergeMs, this.#end.signal);
    }, this.#end.signal);
    this.#looks = new Looks(
      {
        host: deps.host,
        checks: (service) => this.#checks(service),
        addressOf: (service, lost) => this.#addressOf(service, lost),
        comparable: () => this.#comparable(),
      },
      this.#end.signal,
    );
  }

  /** Starts the looks that are due, and sets the timer. */
  take(changes: readonly CatalogChange[]): void {
    for (const { service, looks } of changes) for (const lost of looks) void this.#look(service, lost);
    this.#setTimer();
  }

  /** Ends everything. */
  end(): void {
    this.#end.abort();
    clock.clearTimeout(this.#timer);
  }

  async #look(service: string, lost: LostInstance): Promise<void> {
    const look = await this.#looks.at(service, lost);
    if (look !== undefined) this.#looked({ service, id: lost.instance.id, look });
  }

  #setTimer(): void {
    const at = this.#catalog.dueAt();
    if (at === this.#timerAt || this.#end.signal.aborted) return;
    clock.clearTimeout(this.#timer);
    this.#timerAt = at;
    if (at === undefined) {
      this.#lastChecks.clear();
      return;
    }
    this.#timer = clock.setTimeout(
      () => {
        this.#timerAt = undefined;
        this.#deps.take(this.#catalog.refresh());
        this.#setTimer();
      },
      Math.max(1, Math.ceil(at - clock.now())),
    );
  }

  #checks(service: string): Promise<ServerChecks> {
    const now = clock.now();
    const last = this.#lastChecks.get(service);
    if (last !== undefined && now < last.until) return last.checks;
    const checks = this.#readChecks(service);
    this.#lastChecks.set(service, { until: now + mergeMs, checks });
    return checks;
  }

  async #readChecks(service: string): Promise<ServerChecks> {
    const { servers } = await this.#deps.statistics(service);
    const checked = (Object.hasOwn(servers, service) ? servers[service] : undefined) ?? [];
    const found = new Map<string, 'up' | 'down'>();
    for (const { name, status } of checked) {
      if (/^UP/.test(status)) found.set(name, 'up');
      else if (/^DOWN/.test(status)) found.set(name, 'down');
    }
    return found;
  }

  #addressOf(service: string, { instance: { host, port } }: LostInstance): TcpAddress {
    return {
      host: this.#deps.resolve(host) ?? host,
      port: this.#catalog.entry(service)?.service.policy.portOverride ?? port,
    };
  }

  /** What is announced, beginning anywhere, and then what is lost. */
  *#comparable(): Iterable<TcpAddress> {
    const names = [...this.#catalog.names()];
    const start = Math.floor(clock.random() * names.length);
    const order = [...names.slice(start), ...names.slice(0, start)];
    for (const name of order) {
      const { raw, service } = this.#catalog.entry(name) ?? {};
      if (raw === undefined) continue;
      for (const { instance } of announcementsIn(name, raw)) {
        if (instance.state !== 'up') continue;
        const host = this.#deps.resolve(instance.host) ?? instance.host;
        yield { host, port: service?.policy.portOverride ?? instance.port };
      }
    }
    for (const name of order) {
      for (const lost of this.#catalog.entry(name)?.kept.values() ?? []) yield this.#addressOf(name, lost);
    }
  }
}
