import type { SimulatedInstance } from '../instances.ts';
import type { NerveHost } from '../nerve-host.ts';
import { Violation } from '../violation.ts';
import type { World } from '../world.ts';
import { type Announcements, readRecord } from './announcements.ts';
import type { Calm } from './calm.ts';
import type { Figures } from './figures.ts';

/** For how long nothing may have changed until the registry must be right: checks, and a client that leaves hung members. */
const calmMs = 15_000;
/** For how long an announcement may be missing then: a lease that etcd revoked by mistake is replaced. */
const mostMissingMs = 3_000;
/** A sick instance must not be announced at all then; a moment for what is measured between two looks. */
const mostWrongMs = 300;
/** A key that others wrote is repaired when it is read, which is rare while it is watched. */
const repairMs = 75_000;
/** After the lease of a nerve that died: a new leader, and a renewal that arrives late, give leases their whole time again. */
const expiryGraceMs = 5_000;

interface Watched {
  readonly nerve: NerveHost;
  readonly instance: SimulatedInstance;
  readonly key: string;
  wrongSince: number | undefined;
  /** When it last was as its nerve's checks say. */
  goneSince: number | undefined;
}

/** Looks all the time: what is announced is what the checks say, as far as a nerve can bring that about. */
export class RegistryMonitor {
  readonly #world: World;
  readonly #calm: Calm;
  readonly #announcements: Announcements;
  readonly #figures: Figures;
  readonly #all: readonly Watched[];

  constructor(
    world: World,
    deps: { readonly calm: Calm; readonly announcements: Announcements; readonly figures: Figures },
  ) {
    this.#world = world;
    this.#calm = deps.calm;
    this.#announcements = deps.announcements;
    this.#figures = deps.figures;
    this.#all = world.nerves.flatMap((nerve) =>
      nerve.instances.map((instance) => ({
        nerve,
        instance,
        key: nerve.keyOf(instance),
        wrongSince: undefined,
        goneSince: undefined,
      })),
    );
  }

  /** @throws {Violation} */
  look(): void {
    for (const one of this.#all) {
      if (one.nerve.running) this.#checkRunning(one);
      else this.#checkGone(one);
    }
  }

  #checkRunning(watched: Watched): void {
    const { nerve, instance, key } = watched;
    watched.goneSince = undefined;
    const now = this.#world.scheduler.now();
    const isWell = instance.running && instance.healthy;
    const wanted = nerve.configured.has(instance) && isWell && !nerve.isDrained(instance);
    const isUp = this.#isUp(key);
    if (isUp === wanted || now - this.#calmSince(watched, wanted) < calmMs) {
      watched.wrongSince = undefined;
      return;
    }
    watched.wrongSince ??= now;
    const lastedMs = now - watched.wrongSince;
    this.#figures.worst(wanted ? 'unannounced' : 'sick', lastedMs);
    if (lastedMs < (wanted ? mostMissingMs : mostWrongMs)) return;
    throw new Violation(
      wanted
        ? `${key} is not announced, and nothing keeps its nerve from it`
        : `${key} is announced, and its nerve knows that it must not be`,
    );
  }

  /** Since when nothing has kept the nerve from announcing what is right; infinity while something does. */
  #calmSince({ nerve, instance, key }: Watched, wanted: boolean): number {
    const { runsSince, stopping, configuredAt } = nerve;
    if (runsSince === undefined || stopping) return Number.POSITIVE_INFINITY;
    // What a former process announced, and this one is not told of, goes with its lease.
    const isStrange = !nerve.configured.has(instance);
    const leasesEnd = isStrange
      ? Math.max(runsSince, this.#calm.leaderSince, this.#calm.allMembersSince(nerve.name)) +
        this.#ttlMs +
        expiryGraceMs
      : 0;
    const touchedAt = this.#world.touched.get(key) ?? Number.NEGATIVE_INFINITY;
    return Math.max(
      runsSince,
      leasesEnd - calmMs,
      configuredAt,
      instance.changedAt,
      this.#calm.etcdSince(nerve.name),
      this.#calm.spaceSince,
      touchedAt + (wanted ? 0 : repairMs),
      this.#world.sharedUntil(nerve),
    );
  }

  /** A nerve that has ended leaves nothing behind for longer than its lease. */
  #checkGone(watched: Watched): void {
    const { nerve, key } = watched;
    const now = this.#world.scheduler.now();
    watched.wrongSince = undefined;
    const isExcused =
      !this.#isUp(key) ||
      this.#world.touched.has(key) ||
      now - this.#world.sharedUntil(nerve) < calmMs ||
      now - Math.max(this.#calm.leaderSince, this.#calm.allMembersSince(nerve.name)) < this.#ttlMs + expiryGraceMs;
    // It may have run for a moment between two looks.
    watched.goneSince = isExcused ? now : Math.max(watched.goneSince ?? now, nerve.endedAt);
    if (now - watched.goneSince < this.#ttlMs + expiryGraceMs) return;
    throw new Violation(`${key} is announced still, and its nerve has long ended`);
  }

  get #ttlMs(): number {
    return this.#world.settings.nerve.ttlSeconds * 1_000;
  }

  #isUp(key: string): boolean {
    const kv = this.#world.etcd.store.get(key);
    const record = kv && readRecord(kv);
    return record?.isUp === true && this.#announcements.of(record.service, record.address).isUp;
  }
}
