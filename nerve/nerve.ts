import { setMaxListeners } from 'node:events';
import { BadRequest } from '../common/admin/admin.ts';
import { type Log, reasonOf } from '../common/daemon/log.ts';
import { pruneLater } from '../common/daemon/metrics.ts';
import type { Announcer, OnLeftover } from './announce/announcer.ts';
import type { OperatorChanges } from './announce/operator-store.ts';
import { etcdOptionsOf, type OpenRegistry, Registries, type Registry } from './announce/registries.ts';
import type { NerveConfig } from './config/config.ts';
import { type ServiceConfig, sameService } from './config/service-config.ts';
import { firstSpread } from './health/pace.ts';
import { launches, reaps } from './metrics.ts';
import { RunningService, type RunningServiceDeps } from './running-service.ts';

/** What nerve needs from outside. */
export interface NerveDeps {
  readonly log: Log;
  /** Connects to a registry; does not wait for it. */
  readonly connect: (registry: Registry, onLeftover: OnLeftover) => Announcer;
  readonly operator: OperatorChanges;
  /** How long a replaced address stays visible while the new one cannot be announced; default 30 s. */
  readonly takeoverTimeoutMs?: number;
}

/** Deadline of closing a registry that no service uses any more. */
const closeTimeoutMs = 5000;

/** All services of this nerve: starts, replaces, drains and stops them. */
export class Nerve {
  readonly #services = new Map<string, RunningService>();
  readonly #operator: OperatorChanges;
  readonly #registries: Registries;
  readonly #log: Log;
  readonly #serviceDeps: Omit<RunningServiceDeps, 'isDrained' | 'weight'>;
  /** `draining`: all services are drained before nerve stops. `closed`: nothing runs any more. */
  #phase: 'running' | 'draining' | 'closed' = 'running';
  readonly #closed = new AbortController();

  constructor({ log, connect, operator, takeoverTimeoutMs = 30_000 }: NerveDeps) {
    this.#log = log;
    this.#operator = operator;
    this.#registries = new Registries((registry) =>
      connect(registry, (key, instance) => {
        if (instance.state === 'drain') this.#drainLeftover(key);
      }),
    );
    this.#serviceDeps = {
      log,
      takeoverTimeoutMs,
      isRecordInUse: (service) => this.#isRecordInUse(service),
      onTakenOver: (service, predecessor) => {
        reaps.inc({ service: service.config.name, reason: 'update' });
        this.#retire(predecessor);
      },
    };
    // Each service that takes over from another listens to it.
    setMaxListeners(0, this.#closed.signal);
  }

  get services(): ReadonlyMap<string, RunningService> {
    return this.#services;
  }

  get registries(): readonly OpenRegistry[] {
    return this.#registries.all;
  }

  /** Since when an operator drains the service, ISO 8601; undefined when it is not drained. */
  drainedSince(name: string): string | undefined {
    return this.#operator.drainedSince(name);
  }

  /** True while the service is announced as draining, because of an operator or of the shutdown. */
  isDrained(name: string): boolean {
    return this.#phase === 'draining' || this.#operator.drainedSince(name) !== undefined;
  }

  /** Why nerve is not ready; null while it holds all its leases and no registry reports an error. */
  get notReadyReason(): string | null {
    if (this.#phase === 'closed') return 'shutting down';
    for (const { announcer } of this.#registries.all) {
      const { held, reason } = announcer.lease;
      if (!held) return `no lease in etcd${reason === null ? '' : `: ${reason}`}`;
    }
    for (const { config, announcement } of this.#services.values()) {
      if (announcement.error !== null) return `etcd does not show ${config.name} as it should: ${announcement.error}`;
    }
    return null;
  }

  /** Brings the running services to a configuration. A service whose options are the same goes on untouched. */
  apply(config: NerveConfig): void {
    if (this.#phase === 'closed') return;
    const services = [...config.services.values()];
    const spreadMs = firstSpread(services.reduce((sum, { checks }) => sum + checks.length, 0));
    for (const service of services) {
      const etcd = etcdOptionsOf(config.etcd, service);
      this.#ensure(service, this.#registries.open({ etcd, ttlSeconds: config.ttlSeconds }), spreadMs);
    }
    // After the new services have started: they may announce a key, or use a registry, of a removed one.
    for (const name of this.#services.keys()) {
      if (!config.services.has(name)) this.#remove(name);
    }
    this.#closeUnusedRegistries();
  }

  /**
   * Drains a service's instances, or one of them, or takes that back. Returns the ids of the instances.
   * @throws {BadRequest} when there is no such service or instance
   */
  drain(name: string, drained: boolean, instanceId?: string): readonly string[] {
    const chosen = this.choose(name, instanceId);
    for (const service of chosen) this.#setDrained(service, drained);
    return chosen.map(({ config }) => config.instance.id);
  }

  /** The instances of a service, or one of them. @throws {BadRequest} when there is no such service or instance */
  choose(name: string, instanceId?: string): readonly RunningService[] {
    return chooseServices([...this.#services.values()], name, instanceId);
  }

  /**
   * Gives a service's instances, or one of them, another weight than the configuration has; undefined: that of the configuration
   * again. Returns the ids of the instances.
   * @throws {BadRequest} when there is no such service or instance
   */
  setWeight(name: string, weight: number | undefined, instanceId?: string): readonly string[] {
    const chosen = this.choose(name, instanceId);
    for (const service of chosen) {
      const { name: own, instance } = service.config;
      if (this.#operator.weightOf(own) === weight) continue;
      this.#operator.setWeight(own, weight);
      this.#log.info('service has another weight', { service: own, weight: weight ?? instance.weight ?? null });
      service.onOperatorChange();
    }
    return chosen.map(({ config }) => config.instance.id);
  }

  /** The weight that an operator gave the service; undefined when it has that of its configuration. */
  weightOf(name: string): number | undefined {
    return this.#operator.weightOf(name);
  }

  /**
   * Announces all services as draining, and does not remember that. Resolves when the registries have it, or `signal`
   * aborts: to true when a service was up.
   */
  async drainAll(signal: AbortSignal): Promise<boolean> {
    this.#phase = 'draining';
    const services = [...this.#services.values()];
    for (const service of services) service.onOperatorChange();
    await Promise.allSettled(this.#registries.all.map(({ announcer }) => announcer.settled(signal)));
    return services.some(({ isUp }) => isUp);
  }

  /** Ends all checks and withdraws all services; with `keep`, leaves their records to the next process. */
  async close(timeoutMs: number, { keep = false } = {}): Promise<void> {
    this.#phase = 'closed';
    this.#closed.abort();
    for (const service of this.#services.values()) service.stop();
    await this.#registries.closeUnused(new Set(), { timeoutMs, keep });
  }

  /** Makes sure that the service runs with these options; one with other options is replaced. */
  #ensure(config: ServiceConfig, registry: OpenRegistry, spreadMs: number): void {
    const { name, key } = config;
    const current = this.#services.get(name);
    if (current?.registry === registry && sameService(current.config, config)) return;
    this.#log.info(current === undefined ? 'service added' : 'service changed', { service: name, key });
    const isDrained = (): boolean => this.isDrained(name);
    const weight = (): number | undefined => this.weightOf(name);
    const parts = { config, registry, predecessor: current ?? null };
    const service = new RunningService(parts, { ...this.#serviceDeps, isDrained, weight }, this.#closed.signal);
    this.#services.set(name, service);
    launches.inc({ service: name, reason: current === undefined ? 'new' : 'update' });
    service.start(spreadMs);
  }

  /** Stops a service that the configuration no longer has. */
  #remove(name: string): void {
    const service = this.#services.get(name);
    if (service === undefined) return;
    this.#services.delete(name);
    // nerve still remembers that it is drained: the service may be missing only because its file is being written.
    this.#log.info('service removed', { service: name });
    this.#retire(service);
    reaps.inc({ service: name, reason: 'old' });
    pruneLater((known) => this.#services.has(known));
  }

  /** Stops a service and those that it replaces. A key that a current service announces in the same registry stays. */
  #retire(service: RunningService): void {
    service.stop();
    for (const retired of service.lineage) {
      retired.retire({ keepRecord: this.#isRecordInUse(retired) });
    }
    this.#closeUnusedRegistries();
  }

  #isRecordInUse(service: RunningService): boolean {
    return [...this.#services.values()].some((current) => current.sharesRecordWith(service));
  }

  #setDrained(service: RunningService, drained: boolean): void {
    const { name } = service.config;
    if ((this.#operator.drainedSince(name) !== undefined) === drained) return;
    this.#operator.setDrained(name, drained);
    this.#log.info(drained ? 'service drains' : 'service no longer drains', { service: name });
    service.onOperatorChange();
  }

  /** Drains the service of a draining record that an earlier process left, when there is no state file to say so. */
  #drainLeftover(key: string): void {
    if (this.#operator.remembered) return;
    for (const service of this.#services.values()) if (service.config.key === key) this.#setDrained(service, true);
  }

  #closeUnusedRegistries(): void {
    const inUse = new Set(
      [...this.#services.values()].flatMap(({ lineage }) => lineage.map(({ registry }) => registry)),
    );
    this.#registries.closeUnused(inUse, { timeoutMs: closeTimeoutMs }).catch((error) => {
      this.#log.warn('an unused registry was not closed cleanly', { reason: reasonOf(error) });
    });
  }
}

/** The instances of a service, or one of them. @throws {BadRequest} when there is no such service or instance */
function chooseServices(
  services: readonly RunningService[],
  name: string,
  instanceId: string | undefined,
): readonly RunningService[] {
  const instances = services.filter(({ config }) => config.service === name || config.name === name);
  if (instances.length === 0) {
    const known = new Set(services.map(({ config }) => config.service));
    throw new BadRequest(`no service ${JSON.stringify(name)} here; there are ${[...known].join(', ')}`);
  }
  if (instanceId === undefined) return instances;
  const chosen = instances.filter(({ config }) => config.instance.id === instanceId);
  if (chosen.length > 0) return chosen;
  const ids = instances.map(({ config }) => config.instance.id);
  const there = ids.length === 1 ? 'there is' : 'there are';
  throw new BadRequest(`no instance ${JSON.stringify(instanceId)} of ${name} here; ${there} ${ids.join(', ')}`);
}
