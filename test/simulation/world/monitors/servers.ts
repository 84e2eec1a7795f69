import type { SimulatedInstance } from '../instances.ts';
import { type ProxyHost, proxyPaths } from '../proxy-host.ts';
import { Violation } from '../violation.ts';
import type { World } from '../world.ts';
import type { AnnouncementFacts, Announcements } from './announcements.ts';
import type { Calm } from './calm.ts';
import type { Figures } from './figures.ts';

/** For how long an instance must have been well, announced and reachable until it counts as steady. */
const steadyMs = 15_000;
/** For how long a steady instance may be missing, whatever happens: a reload, or a batch of commands. */
const mostMissingMs = 1_500;
/** The same where HAProxy has loaded a file that lacks it. */
const mostUnwrittenMs = 6_000;
/** The same for the last one of a service. */
const mostEmptyMs = 1_000;
/** A synapse that reaches etcd has heard of an announcement after this time. */
const hearsMs = 1_000;
/** For how long a synapse must have been undisturbed until HAProxy must be right: etcd members that hang are left by then. */
const calmMs = 15_000;
/** A withdrawn server is out this soon after an undisturbed synapse could hear of it. */
const mostWithdrawalMs = 3_000;
/** The same while a member of etcd hangs: a watch on it has to be given up first. */
const mostWithdrawalOfHungMs = 16_000;
/** It is out for good when an undisturbed synapse has had this time to write its files. */
const outForGoodMs = 10_000;
/** A lost instance that is dead: looks at suspects, two in a row, or HAProxy's own check of a host that is a black hole. */
const mostDeadMs = 16_000;

/** What the monitor knows of one instance behind one proxy. */
interface Watched {
  readonly proxy: ProxyHost;
  readonly instance: SimulatedInstance;
  /** Since when nothing has been wrong with it; undefined while something is. */
  steadySince: number | undefined;
  wasUsed: boolean;
  /** Since when synapse has run and could write haproxy.cfg while it was in use; undefined while that is not so. */
  writtenSince: number | undefined;
  /** haproxy.cfg has it. */
  isInFile: boolean;
  missingSince: number | undefined;
  /** Since when it has been withdrawn and out, with an undisturbed synapse; undefined while that is not so. */
  outSince: number | undefined;
  isOutForGood: boolean;
  /** Since when it has been lost and dead, and in use; undefined while that is not so. */
  deadSince: number | undefined;
}

/** One look at one instance behind one proxy. */
interface Seen {
  readonly now: number;
  readonly facts: AnnouncementFacts;
  /** HAProxy sends requests to it. */
  readonly isUsed: boolean;
  /** It runs, is well, and the proxy reaches it. */
  readonly isWell: boolean;
  /** Since when nothing has kept synapse from bringing HAProxy up to date; infinity while something does. */
  readonly calmSince: number;
}

/** Looks at every HAProxy all the time: what is in use, and what is not. */
export class ServerMonitor {
  readonly #world: World;
  readonly #calm: Calm;
  readonly #announcements: Announcements;
  readonly #figures: Figures;
  readonly #all: readonly Watched[];
  /** `proxy service` → since when a service with a steady instance has been empty. */
  readonly #emptySince = new Map<string, number>();

  constructor(
    world: World,
    deps: { readonly calm: Calm; readonly announcements: Announcements; readonly figures: Figures },
  ) {
    this.#world = world;
    this.#calm = deps.calm;
    this.#announcements = deps.announcements;
    this.#figures = deps.figures;
    this.#all = world.proxies.flatMap((proxy) => world.instances.all.map((instance) => newlyWatched(proxy, instance)));
  }

  /** @throws {Violation} */
  look(): void {
    for (const one of this.#all) {
      const { worker } = one.proxy.haproxy;
      if (worker === undefined || worker.process.frozen) {
        const { isUp, end } = this.#announcements.of(one.instance.service, one.instance.address);
        const isOutForGood = one.isOutForGood && !isUp && end === 'withdrawn';
        Object.assign(one, newlyWatched(one.proxy, one.instance), { isOutForGood });
        continue;
      }
      const seen = this.#see(one);
      this.#checkSteady(one, seen);
      this.#checkWithdrawn(one, seen);
      this.#checkDead(one, seen);
    }
    this.#checkEmpty();
  }

  /** Since when nothing has kept the synapse of a proxy from its work; infinity while something does. */
  calmSince({ name, process, haproxy, stopping }: ProxyHost): number {
    const { worker } = haproxy;
    if (process === undefined || process.frozen || stopping || worker === undefined || worker.process.frozen)
      return never;
    return Math.max(process.runsSince, worker.process.runsSince, this.#calm.etcdSince(name));
  }

  #see({ proxy, instance }: Watched): Seen {
    const { service, address, running, healthy } = instance;
    return {
      now: this.#world.scheduler.now(),
      facts: this.#announcements.of(service, address),
      isUsed: proxy.uses(service, address),
      isWell: running && healthy && this.#world.instances.reach(proxy.name, address) === 'answers',
      calmSince: this.calmSince(proxy),
    };
  }

  /** An instance that is in use, well, reachable and announced without interruption stays; and one that is, comes in. */
  #checkSteady(watched: Watched, { now, facts, isUsed, isWell, calmSince }: Seen): void {
    const { proxy, instance } = watched;
    const what = `${instance.service} at ${instance.address}`;
    if (!facts.isUp || !isWell || proxy.isTouched(instance.address)) {
      Object.assign(watched, { steadySince: undefined, wasUsed: false, isInFile: false, missingSince: undefined });
      return;
    }
    // It was announced again between two looks.
    if (facts.since > (watched.steadySince ?? now)) watched.wasUsed = false;
    watched.steadySince = Math.max(facts.since, watched.steadySince ?? now);
    const runs = runsSince(proxy);
    const isWritten = isUsed && runs !== undefined && !proxy.disk.isFull(proxyPaths.configPath);
    watched.writtenSince = isWritten ? Math.max(watched.writtenSince ?? now, watched.steadySince, runs) : undefined;
    if (watched.writtenSince !== undefined) watched.isInFile ||= now - watched.writtenSince >= outForGoodMs;
    if (isUsed) {
      // A synapse that is cut off may give up an instance whose lease was lost, and not hear that it is announced again.
      watched.wasUsed ||= now - Math.max(facts.since, calmSince) >= hearsMs;
      watched.missingSince = undefined;
      return;
    }
    if (now - watched.steadySince < steadyMs) return;
    if (!watched.wasUsed) {
      if (now - calmSince < calmMs) return;
      throw new Violation(`${what} is announced and well, and HAProxy on ${proxy.name} does not use it`);
    }
    // A HAProxy that loads a file without it needs synapse, which notices another worker within a second; one that has started
    // since, and does not reach etcd, knows no better than the file.
    const isExcused = !watched.isInFile && now - calmSince < mostUnwrittenMs;
    watched.missingSince = isExcused ? now : (watched.missingSince ?? now);
    const lastedMs = now - watched.missingSince;
    if (!watched.isInFile && lastedMs < mostUnwrittenMs) return;
    this.#figures.worst('missing', lastedMs);
    if (lastedMs >= mostMissingMs) {
      throw new Violation(`${what} left HAProxy on ${proxy.name}, though nothing was wrong`);
    }
  }

  /** What was withdrawn in order is out within seconds, and never comes back unannounced. */
  #checkWithdrawn(watched: Watched, { now, facts, isUsed, calmSince }: Seen): void {
    const { proxy, instance } = watched;
    const what = `${instance.service} at ${instance.address}`;
    if (facts.isUp || facts.end !== 'withdrawn' || proxy.isTouched(instance.address)) {
      Object.assign(watched, { outSince: undefined, isOutForGood: false });
      return;
    }
    if (isUsed) {
      watched.outSince = undefined;
      if (watched.isOutForGood) throw new Violation(`${what} is back in HAProxy on ${proxy.name}, and not announced`);
      // A synapse that was away lists again first.
      const serviceSince = this.#announcements.serviceSince(instance.service);
      const knownSince = Math.max(facts.since, serviceSince, calmSince + calmMs);
      const lastedMs = now - knownSince;
      const mayHang = now - this.#calm.allMembersSince(proxy.name) < calmMs + mostWithdrawalMs;
      if (lastedMs > 0) this.#figures.worst(mayHang ? 'hungWithdrawal' : 'withdrawal', lastedMs);
      if (lastedMs < (mayHang ? mostWithdrawalOfHungMs : mostWithdrawalMs)) return;
      throw new Violation(`${what} was withdrawn, and is still used by HAProxy on ${proxy.name}`);
    }
    // What the disk could not take, or nobody was there to write, may be in haproxy.cfg still. A service without any
    // announcement keeps its last servers.
    const isEmpty = this.#announcements.serviceSince(instance.service) === never;
    if (isEmpty) watched.isOutForGood = false;
    if (isEmpty || calmSince === never || proxy.disk.isFull(proxyPaths.configPath)) watched.outSince = undefined;
    else watched.outSince ??= now;
    if (watched.outSince !== undefined && now - watched.outSince >= outForGoodMs) watched.isOutForGood = true;
  }

  /** A lost instance that is dead is out soon, where the host of the proxy can tell. */
  #checkDead(watched: Watched, { now, facts, isUsed, isWell, calmSince }: Seen): void {
    const { proxy, instance } = watched;
    const isDead = this.#world.instances.reach(proxy.name, instance.address) !== 'answers';
    const isCounted =
      isUsed &&
      !facts.isUp &&
      !isWell &&
      isDead &&
      now - calmSince >= calmMs &&
      now >= this.#announcements.serviceSince(instance.service) &&
      this.#sees(proxy) &&
      !proxy.isTouched(instance.address);
    if (!isCounted) {
      watched.deadSince = undefined;
      return;
    }
    watched.deadSince ??= now;
    const lastedMs = now - watched.deadSince;
    this.#figures.worst('dead', lastedMs);
    if (lastedMs < mostDeadMs) return;
    throw new Violation(
      `${instance.service} at ${instance.address} is lost and dead, and still used by HAProxy on ${proxy.name}`,
    );
  }

  /** Something that is announced answers a look from this host. */
  #sees({ name }: ProxyHost): boolean {
    const { instances } = this.#world;
    return instances.all.some(
      ({ service, address }) =>
        this.#announcements.of(service, address).isUp && instances.reach(name, address) === 'answers',
    );
  }

  /** A service with a steady instance that was in use is never empty. */
  #checkEmpty(): void {
    const now = this.#world.scheduler.now();
    for (const proxy of this.#world.proxies) {
      for (const { name: service } of this.#world.settings.services) {
        const steady = this.#all.some(
          ({ proxy: of, instance, wasUsed, isInFile, steadySince }) =>
            of === proxy &&
            isInFile &&
            instance.service === service &&
            wasUsed &&
            now - (steadySince ?? now) >= steadyMs,
        );
        const key = `${proxy.name} ${service}`;
        const { worker } = proxy.haproxy;
        const isEmpty = worker?.serversOf(service).some(({ usable }) => usable) !== true;
        if (!steady || !isEmpty || worker === undefined) {
          this.#emptySince.delete(key);
          continue;
        }
        const since = this.#emptySince.get(key) ?? now;
        this.#emptySince.set(key, since);
        this.#figures.worst('empty', now - since);
        if (now - since >= mostEmptyMs) throw new Violation(`${service} is empty in HAProxy on ${proxy.name}`);
      }
    }
  }
}

/** Since when the synapse of a proxy has run without interruption; undefined while it does not. */
function runsSince({ process, stopping }: ProxyHost): number | undefined {
  return process?.alive && !process.frozen && !stopping ? process.runsSince : undefined;
}

const never = Number.POSITIVE_INFINITY;

function newlyWatched(proxy: ProxyHost, instance: SimulatedInstance): Watched {
  return {
    proxy,
    instance,
    steadySince: undefined,
    wasUsed: false,
    writtenSince: undefined,
    isInFile: false,
    missingSince: undefined,
    outSince: undefined,
    isOutForGood: false,
    deadSince: undefined,
  };
}
