import { setMaxListeners } from 'node:events';
import { BadRequest } from '../common/admin/admin.ts';
import { timeoutSignal } from '../common/async/abort.ts';
import { type Log, reasonOf } from '../common/daemon/log.ts';
import { pruneLater } from '../common/daemon/metrics.ts';
import type { Instance } from '../common/instance.ts';
import type { Drains } from './announce/drain-store.ts';
import type { Announcer } from './announce/etcd-announcer.ts';
import { etcdOf, type OpenRegistry, Registries, type Registry } from './announce/registries.ts';
import { type Announcement, createAnnouncement } from './announce/throttled-announcement.ts';
import type { NerveConfig } from './config/config.ts';
import { type ServiceConfig, sameService } from './config/service-config.ts';
import { createService, type Service } from './health/service.ts';
import { announcements, launches, reaps } from './metrics.ts';

export interface NerveDeps {
  readonly log: Log;
  /** Connects to a registry; must not wait for it. `onFound` is told what a predecessor left there under a key of ours. */
  readonly connect: (registry: Registry, onFound: OnFound) => Announcer;
  readonly drains: Drains;
  /** How long an old address stays visible while the new one cannot be announced. Milliseconds, default 30 s. */
  readonly takeover?: number;
}

export type OnFound = (key: string, instance: Instance) => void;

/** How long withdrawing may take when a registry is no longer used. Milliseconds. */
const closeTimeout = 5000;

/** All services of this host: starts, replaces and ends them as the configuration says. */
export class Nerve {
  readonly #slots = new Map<string, Slot>();
  readonly #drains: Drains;
  readonly #registries: Registries;
  readonly #log: Log;
  readonly #takeover: number;
  readonly #end = new AbortController();
  #leaving = false;

  constructor({ log, connect, drains, takeover = 30_000 }: NerveDeps) {
    this.#log = log;
    this.#drains = drains;
    this.#takeover = takeover;
    // Each service that takes over from another listens to it.
    setMaxListeners(0, this.#end.signal);
    this.#registries = new Registries((registry) => connect(registry, (...found) => this.#found(...found)));
  }

  get slots(): ReadonlyMap<string, Slot> {
    return this.#slots;
  }

  get registries(): readonly OpenRegistry[] {
    return this.#registries.all;
  }

  /** Since when a service is drained, ISO 8601. */
  drainedSince(service: string): string | undefined {
    return this.#drains.since(service);
  }

  /** Null when ready: every lease that is needed is held, and etcd refuses nothing. */
  ready(): string | null {
    if (this.#end.signal.aborted) return 'ending';
    for (const { announcer } of this.#registries.all) {
      const { held, lastError } = announcer.lease;
      if (!held) return `no lease in etcd${lastError === null ? '' : `: ${lastError}`}`;
    }
    for (const { service, registry } of this.#slots.values()) {
      const { trouble } = registry.announcer.status(service.config.key);
      if (trouble !== null) return `${service.config.name} is not in etcd as it shall be: ${trouble}`;
    }
    return null;
  }

  /** Brings the running services to a configuration. What did not change is not touched. */
  apply(config: NerveConfig): void {
    if (this.#end.signal.aborted) return;
    for (const [name, service] of config.services) {
      const registry = this.#registries.use({ etcd: etcdOf(config.etcd, service), ttl: config.ttl });
      const current = this.#slots.get(name);
      if (current !== undefined && current.registry === registry && sameService(current.service.config, service))
        continue;
      this.#log.info(current === undefined ? 'service added' : 'service changed', { service: name, key: service.key });
      this.#start(service, registry, current);
    }
    // After the new ones are known: what one of them announces now must not be withdrawn, nor its registry closed.
    for (const [name, slot] of this.#slots) {
      if (config.services.has(name)) continue;
      this.#slots.delete(name);
      // Whether it is drained is remembered: it may only be missing from a file that somebody is writing just now.
      this.#log.info('service removed', { service: name });
      this.#retire(slot);
      reaps.inc({ service: name, reason: 'old' });
      pruneLater((service) => this.#slots.has(service));
    }
    this.#closeUnused();
  }

  /**
   * Marks a service's instances, or one of them, as draining, or takes that back. Returns the ids of the instances.
   * @throws {BadRequest} when there is no such service or instance
   */
  drain(name: string, drained: boolean, instanceId?: string): readonly string[] {
    const chosen = chooseSlots([...this.#slots.values()], name, instanceId);
    for (const slot of chosen) this.#drain(slot, drained);
    return chosen.map(({ service }) => service.config.instance.id);
  }

  /**
   * Shows everything as draining, without remembering it. Resolves when the registries have it, or `signal` aborts: to
   * true when there was something to drain.
   */
  async drainAll(signal: AbortSignal): Promise<boolean> {
    this.#leaving = true;
    const slots = [...this.#slots.values()];
    for (const slot of slots) this.#show(slot, { operator: true });
    await Promise.allSettled(this.#registries.all.map(({ announcer }) => announcer.settled(signal)));
    return slots.some(({ service }) => service.verdict === 'up');
  }

  /** Ends all checks and withdraws everything, within `timeout` milliseconds; or leaves it to who comes next. */
  async close(timeout: number, { keep = false } = {}): Promise<void> {
    this.#end.abort();
    for (const slot of this.#slots.values()) abortAll(slot);
    await this.#registries.closeUnused(new Set(), { timeout, keep });
  }

  #start(config: ServiceConfig, registry: OpenRegistry, current: Slot | undefined): void {
    const service = createService(config, { log: this.#log });
    const controller = new AbortController();
    const { signal } = controller;
    const announcement = createAnnouncement(config, registry.announcer, signal);
    const slot: Slot = { service, registry, announcement, controller, replaces: current };
    this.#slots.set(config.name, slot);
    launches.inc({ service: config.name, reason: current === undefined ? 'new' : 'update' });
    const onVerdict = (): void => {
      this.#show(slot);
      this.#takeOver(slot);
    };
    service.run(onVerdict, signal).catch((error) => {
      this.#log.error('service stopped unexpectedly', { service: config.name, reason: reasonOf(error) });
    });
  }

  /** Makes the registry say what is known of a service. */
  #show({ service, announcement }: Slot, options: { readonly operator?: boolean } = {}): void {
    const { name, instance } = service.config;
    if (service.verdict === 'unknown') return;
    const drained = this.#leaving || this.#drains.since(name) !== undefined;
    const shown = drained ? draining(instance) : instance;
    announcement.show(service.verdict === 'up' ? shown : null, options);
  }

  #drain(slot: Slot, drained: boolean): void {
    const { name } = slot.service.config;
    if ((this.#drains.since(name) !== undefined) === drained) return;
    this.#drains.set(name, drained);
    this.#log.info(drained ? 'service drains' : 'service no longer drains', { service: name });
    this.#show(slot, { operator: true });
  }

  /** A record that says drain, of a nerve whose memory is lost: an operator's word counts until it is taken back. */
  #found(key: string, { state }: Instance): void {
    if (state !== 'drain' || this.#drains.remembered) return;
    for (const slot of this.#slots.values()) if (slot.service.config.key === key) this.#drain(slot, true);
  }

  /** The new one of a changed service speaks from now on; the old one goes as soon as the registry shows the new. */
  #takeOver(slot: Slot): void {
    const old = slot.replaces;
    if (old === undefined) return;
    abortAll(old);
    const finish = (): void => {
      // Replaced itself meanwhile: then its successor sees to all of them.
      if (this.#end.signal.aborted || this.#slots.get(slot.service.config.name) !== slot) return;
      slot.replaces = undefined;
      reaps.inc({ service: slot.service.config.name, reason: 'update' });
      this.#retire(old);
    };
    if (slot.service.verdict === 'down') {
      finish();
      return;
    }
    // The same instance in another registry may stay visible in the old one for as long as the new one is away; an
    // address that is no longer configured may not.
    const sameInstance = chain(old).some(({ service }) => service.config.key === slot.service.config.key);
    const patience = sameInstance ? this.#end.signal : timeoutSignal(this.#takeover);
    slot.registry.announcer.settled(patience).then(finish, finish);
  }

  /** Withdraws what a service, and those it was to replace, announced, unless a service of now announces it there. */
  #retire(slot: Slot): void {
    abortAll(slot);
    for (const { registry, service } of chain(slot)) {
      const { name, key, instance } = service.config;
      const current = [...this.#slots.values()];
      if (current.some((other) => other.service.config.key === key && other.registry === registry)) continue;
      announcements.inc({ service: name, action: 'withdraw' });
      registry.announcer.withdraw(key, instance, { forget: true });
    }
    this.#closeUnused();
  }

  #closeUnused(): void {
    const inUse = new Set([...this.#slots.values()].flatMap((slot) => chain(slot)).map((slot) => slot.registry));
    this.#registries.closeUnused(inUse, { timeout: closeTimeout }).catch((error) => {
      this.#log.warn('an unused registry did not close in order', { reason: reasonOf(error) });
    });
  }
}

function draining(instance: Instance): Instance {
  return { ...instance, state: 'drain' };
}

/** A service at work: its checks, and what the registry shows of it. */
export interface Slot {
  readonly service: Service;
  readonly registry: OpenRegistry;
  readonly announcement: Announcement;
  readonly controller: AbortController;
  /** Whom it takes over from: the old one speaks until the first verdict, and stays visible until the new one is. */
  replaces: Slot | undefined;
}

/** A slot and all it was to replace. */
export function chain(slot: Slot): readonly Slot[] {
  return slot.replaces === undefined ? [slot] : [slot, ...chain(slot.replaces)];
}

export function abortAll(slot: Slot): void {
  for (const { controller } of chain(slot)) controller.abort();
}

/**
 * The slots of a service's instances, or of one of them.
 * @throws {BadRequest} when there is no such service or instance
 */
export function chooseSlots(slots: readonly Slot[], name: string, instanceId?: string): readonly Slot[] {
  const own = slots.filter(({ service: { config } }) => config.service === name || config.name === name);
  if (own.length === 0) {
    const known = new Set(slots.map(({ service }) => service.config.service));
    throw new BadRequest(`no service ${JSON.stringify(name)} here; there are ${[...known].join(', ')}`);
  }
  if (instanceId === undefined) return own;
  const chosen = own.filter(({ service }) => service.config.instance.id === instanceId);
  if (chosen.length > 0) return chosen;
  const ids = own.map(({ service }) => service.config.instance.id);
  const there = ids.length === 1 ? 'there is' : 'there are';
  throw new BadRequest(`no instance ${JSON.stringify(instanceId)} of ${name} here; ${there} ${ids.join(', ')}`);
}
