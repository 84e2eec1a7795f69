import { BadRequest } from '../common/admin.ts';
import type { EtcdOptions } from '../common/etcd/options.ts';
import type { Instance } from '../common/instance.ts';
import { type Log, reasonOf } from '../common/log.ts';
import type { Announcer } from './announcer.ts';
import type { NerveConfig } from './config.ts';
import { announcements, forgetService, serviceDrained } from './metrics.ts';
import { type OpenRegistry, Registries, type Registry } from './registry.ts';
import { createService, type Service } from './service.ts';
import { type ServiceConfig, sameService } from './serviceconfig.ts';

/** A service at work. */
export interface Slot {
  readonly service: Service;
  readonly registry: OpenRegistry;
  readonly controller: AbortController;
  /** Whom it takes over from: the old one speaks until the first verdict, and stays visible until the new one is. */
  replaces: Slot | undefined;
}

export interface NerveDeps {
  readonly log: Log;
  /** Connects to a registry; must not wait for it. */
  readonly connect: (registry: Registry) => Announcer;
  /** How long an old address stays visible while the new one cannot be announced. Milliseconds, default 30 s. */
  readonly takeover?: number;
}

/** How long withdrawing may take when a registry is no longer used. Milliseconds. */
const closeTimeout = 5000;

/** All services of this host: starts, replaces and ends them as the configuration says. */
export class Nerve {
  readonly #slots = new Map<string, Slot>();
  readonly #drained = new Set<string>();
  readonly #registries: Registries;
  readonly #log: Log;
  readonly #takeover: number;
  readonly #end = new AbortController();

  constructor({ log, connect, takeover = 30_000 }: NerveDeps) {
    this.#log = log;
    this.#takeover = takeover;
    this.#registries = new Registries(connect);
  }

  get slots(): ReadonlyMap<string, Slot> {
    return this.#slots;
  }

  get registries(): readonly OpenRegistry[] {
    return this.#registries.all;
  }

  isDrained(service: string): boolean {
    return this.#drained.has(service);
  }

  /** Null when ready: every lease that is needed is held. */
  ready(): string | null {
    if (this.#end.signal.aborted) return 'ending';
    for (const { announcer } of this.#registries.all) {
      const { held, lastError } = announcer.lease;
      if (!held) return `no lease in etcd${lastError === null ? '' : `: ${lastError}`}`;
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
      this.#drained.delete(name);
      this.#log.info('service removed', { service: name });
      this.#retire(slot);
      forgetService(name);
    }
    this.#closeUnused();
  }

  /**
   * Marks a service's instance as draining, or takes that back.
   * @throws {BadRequest} when there is no such service or instance
   */
  drain(name: string, drained: boolean, instanceId?: string): { readonly service: string; readonly instance: string } {
    const slot = this.#slots.get(name);
    if (slot === undefined) {
      throw new BadRequest(`no service ${JSON.stringify(name)} here; there are ${[...this.#slots.keys()].join(', ')}`);
    }
    const { instance } = slot.service.config;
    if (instanceId !== undefined && instanceId !== instance.id) {
      throw new BadRequest(`no instance ${JSON.stringify(instanceId)} of ${name} here; there is ${instance.id}`);
    }
    if (this.#drained.has(name) !== drained) {
      if (drained) this.#drained.add(name);
      else this.#drained.delete(name);
      serviceDrained.set({ service: name }, drained ? 1 : 0);
      this.#log.info(drained ? 'service drains' : 'service no longer drains', { service: name });
      this.#show(slot);
    }
    return { service: name, instance: instance.id };
  }

  /** Ends all checks and withdraws everything, within `timeout` milliseconds. */
  async close(timeout: number): Promise<void> {
    this.#end.abort();
    for (const slot of this.#slots.values()) abortAll(slot);
    await this.#registries.closeUnused(new Set(), timeout);
  }

  #start(config: ServiceConfig, registry: OpenRegistry, current: Slot | undefined): void {
    const service = createService(config, { log: this.#log });
    const slot: Slot = { service, registry, controller: new AbortController(), replaces: current };
    const { signal } = slot.controller;
    this.#slots.set(config.name, slot);
    const onVerdict = (): void => {
      this.#show(slot);
      this.#takeOver(slot);
    };
    service.run(onVerdict, signal).catch((error) => {
      this.#log.error('service stopped unexpectedly', { service: config.name, reason: reasonOf(error) });
    });
  }

  /** Makes the registry say what is known of a service. */
  #show(slot: Slot): void {
    const { service, registry } = slot;
    const { name, key, instance } = service.config;
    if (service.verdict === 'unknown' || slot.controller.signal.aborted) return;
    const action = service.verdict === 'up' ? 'announce' : 'withdraw';
    announcements.inc({ service: name, action });
    if (action === 'withdraw') registry.announcer.withdraw(key, instance);
    else registry.announcer.announce(key, this.#drained.has(name) ? draining(instance) : instance);
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
      this.#retire(old);
    };
    if (slot.service.verdict === 'down') {
      finish();
      return;
    }
    // The same instance in another registry may stay visible in the old one for as long as the new one is away; an
    // address that is no longer configured may not.
    const sameInstance = chain(old).some(({ service }) => service.config.key === slot.service.config.key);
    const patience = sameInstance ? this.#end.signal : AbortSignal.timeout(this.#takeover);
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
      registry.announcer.withdraw(key, instance);
    }
    this.#closeUnused();
  }

  #closeUnused(): void {
    const inUse = new Set([...this.#slots.values()].flatMap((slot) => chain(slot)).map((slot) => slot.registry));
    this.#registries.closeUnused(inUse, closeTimeout).catch((error) => {
      this.#log.warn('an unused registry did not close in order', { reason: reasonOf(error) });
    });
  }
}

/** A service's own `etcd_host` keeps the credentials, and TLS, of the file's `etcd`. */
function etcdOf(etcd: EtcdOptions, { etcdHosts }: ServiceConfig): EtcdOptions {
  if (etcdHosts === null) return etcd;
  const scheme = etcd.tls ? 'https' : 'http';
  return { ...etcd, hosts: etcdHosts.map((host) => `${scheme}://${host}`) };
}

function draining(instance: Instance): Instance {
  return { ...instance, state: 'drain' };
}

/** A slot and all it was to replace. */
function chain(slot: Slot): readonly Slot[] {
  return slot.replaces === undefined ? [slot] : [slot, ...chain(slot.replaces)];
}

function abortAll(slot: Slot): void {
  for (const { controller } of chain(slot)) controller.abort();
}
