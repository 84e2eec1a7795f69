import type { SimulatedInstance } from '../instances.ts';
import type { ProxyHost } from '../proxy-host.ts';
import { Violation } from '../violation.ts';
import type { World } from '../world.ts';
import type { Announcements } from './announcements.ts';
import type { Calm } from './calm.ts';

/** Leases that are lost within this time are one wave for certain: synapse holds the first one for longer. */
const togetherMs = 4_000;
/** For how long an instance must have been in use and well before it was lost, with an undisturbed synapse. */
const steadyMs = 15_000;
/** The property is looked at for this time after the loss; synapse keeps suspects for minutes. */
const keptMs = 60_000;
/** A share of the service that is a wave for certain; the default of synapse is a half. */
const waveShare = 0.55;
/** For how long a kept instance may be missing: a reload. */
const mostMissingMs = 1_500;

/** What is known of one instance behind one proxy. */
interface Watched {
  readonly proxy: ProxyHost;
  readonly instance: SimulatedInstance;
  /** Since when it has been well, reachable, untouched and in use, with an undisturbed synapse; undefined while it is not. */
  steadySince: number | undefined;
  missingSince: number | undefined;
}

/** Looks all the time: an instance that is well and was lost together with most of its service stays in use. */
export class WaveMonitor {
  readonly #world: World;
  readonly #announcements: Announcements;
  readonly #calm: Calm;
  readonly #calmSince: (proxy: ProxyHost) => number;
  readonly #all: readonly Watched[];
  /** How many instances have been looked at while they were kept. */
  kept = 0;

  constructor(
    world: World,
    deps: {
      readonly calm: Calm;
      readonly announcements: Announcements;
      readonly calmSince: (proxy: ProxyHost) => number;
    },
  ) {
    this.#world = world;
    this.#announcements = deps.announcements;
    this.#calm = deps.calm;
    this.#calmSince = deps.calmSince;
    this.#all = world.proxies.flatMap((proxy) =>
      world.instances.all.map((instance) => ({ proxy, instance, steadySince: undefined, missingSince: undefined })),
    );
  }

  /** @throws {Violation} */
  look(): void {
    const waves = new Map(this.#world.settings.services.map(({ name }) => [name, this.#waveOf(name)]));
    for (const one of this.#all) this.#check(one, waves.get(one.instance.service) ?? noWave);
  }

  #check(watched: Watched, wave: ReadonlySet<string>): void {
    const { proxy, instance } = watched;
    const now = this.#world.scheduler.now();
    if (!this.#isSteady(watched)) {
      Object.assign(watched, { steadySince: undefined, missingSince: undefined });
      return;
    }
    watched.steadySince ??= now;
    const { isUp, since } = this.#announcements.of(instance.service, instance.address);
    const isKept = wave.has(instance.address) && since - watched.steadySince >= steadyMs && now - since < keptMs;
    if (proxy.uses(instance.service, instance.address)) watched.missingSince = undefined;
    else if (isKept) {
      watched.missingSince ??= now;
      if (now - watched.missingSince < mostMissingMs) return;
      const what = `${instance.service} at ${instance.address}`;
      throw new Violation(`${what} is well, was lost with most of its service, and left HAProxy on ${proxy.name}`);
    } else if (isUp || !wave.has(instance.address)) watched.steadySince = undefined;
    if (isKept) this.kept += 1;
  }

  /** Nothing but the loss of its lease speaks against the instance, as far as the proxy can know. */
  #isSteady({ proxy, instance }: Watched): boolean {
    const { instances } = this.#world;
    const { service, address, running, healthy } = instance;
    return (
      running &&
      healthy &&
      instances.reach(proxy.name, address) === 'answers' &&
      !proxy.isTouched(address) &&
      this.#announcements.otherSince(service, address) === undefined &&
      this.#calmSince(proxy) < Number.POSITIVE_INFINITY
    );
  }

  /** Addresses of a service that were lost together, with nerves that have not been back since; none when it is no wave. */
  #waveOf(service: string): ReadonlySet<string> {
    const { instances } = this.#world;
    const lost: { readonly instance: SimulatedInstance; readonly since: number }[] = [];
    let announced = 0;
    for (const instance of instances.all) {
      if (instance.service !== service) continue;
      const { isUp, end, since, wasDeleted } = this.#announcements.of(service, instance.address);
      if (isUp) announced += 1;
      else if (end === 'lost' && !wasDeleted && this.#isAway(instance)) lost.push({ instance, since });
    }
    const newest = Math.max(...lost.map(({ since }) => since));
    const together = lost.filter(({ since }) => newest - since <= togetherMs);
    const hosts = new Set(together.map(({ instance }) => instance.host));
    const isWave = hosts.size >= 2 && together.length / (announced + together.length) >= waveShare;
    return isWave ? new Set(together.map(({ instance }) => instance.address)) : noWave;
  }

  /** Its nerve cannot say anything, and no other program has changed its key. */
  #isAway(instance: SimulatedInstance): boolean {
    const nerve = this.#world.nerveOf(instance);
    if (this.#world.touched.has(nerve.keyOf(instance))) return false;
    const twin = this.#world.twins.get(nerve);
    return twin?.running !== true && (!nerve.running || this.#calm.etcdSince(nerve.name) === Number.POSITIVE_INFINITY);
  }
}

const noWave: ReadonlySet<string> = new Set();
