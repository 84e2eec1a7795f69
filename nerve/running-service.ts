import { timeoutSignal } from '../common/async/timeout.ts';
import { type Log, reasonOf } from '../common/daemon/log.ts';
import type { Instance } from '../common/instance.ts';
import type { AnnouncementStatus } from './announce/announcer.ts';
import type { OpenRegistry } from './announce/registries.ts';
import { ThrottledAnnouncement } from './announce/throttled-announcement.ts';
import type { ServiceConfig } from './config/service-config.ts';
import { ServiceHealth } from './health/service-health.ts';
import { announcements } from './metrics.ts';
import { nextServiceState, type ServiceEvent, type ServiceState } from './service-state.ts';
import type { CheckStatus, Health } from './status-shape.ts';

/** What a running service needs from nerve. */
export interface RunningServiceDeps {
  readonly log: Log;
  /** True while the service must be announced as draining. */
  readonly isDrained: () => boolean;
  /** The weight that an operator gave the service; undefined when it has that of its configuration. */
  readonly weight: () => number | undefined;
  /** How long a replaced address stays visible while the new one cannot be announced. */
  readonly takeoverTimeoutMs: number;
  /** True when a current service has the same key in the same registry. */
  readonly isRecordInUse: (service: RunningService) => boolean;
  /** Called when `service` has taken over: nerve retires `predecessor`. */
  readonly onTakenOver: (service: RunningService, predecessor: RunningService) => void;
}

/** What a running service is made of. */
export interface RunningServiceParts {
  readonly config: ServiceConfig;
  readonly registry: OpenRegistry;
  /** The service of the same name that it replaces. */
  readonly predecessor: RunningService | null;
}

/** A service that nerve checks, and its record in the registry. See {@link ServiceState} for its life. */
export class RunningService {
  readonly config: ServiceConfig;
  readonly registry: OpenRegistry;
  readonly #deps: RunningServiceDeps;
  /** Aborts when nerve stops. */
  readonly #signal: AbortSignal;
  readonly #checking = new AbortController();
  readonly #health: ServiceHealth;
  readonly #announcement: ThrottledAnnouncement;
  #state: ServiceState = 'starting';
  #predecessor: RunningService | null;
  /** A later configuration has started a successor. */
  #superseded = false;

  constructor({ config, registry, predecessor }: RunningServiceParts, deps: RunningServiceDeps, signal: AbortSignal) {
    this.config = config;
    this.registry = registry;
    this.#deps = deps;
    this.#signal = signal;
    this.#health = new ServiceHealth(config, { log: deps.log });
    this.#announcement = new ThrottledAnnouncement(config, registry.announcer, this.#checking.signal);
    this.#predecessor = predecessor;
    if (predecessor !== null) predecessor.#superseded = true;
  }

  get state(): ServiceState {
    return this.#state;
  }

  get health(): Health {
    return this.#health.health;
  }

  /** Since when it has this health, ISO 8601. */
  get since(): string {
    return this.#health.since;
  }

  get checks(): readonly CheckStatus[] {
    return this.#health.checks;
  }

  /** True while the rate limit holds back an announcement. */
  get heldBack(): boolean {
    return this.#announcement.heldBack;
  }

  /** What the registry has of the service. */
  get announcement(): AnnouncementStatus {
    return this.registry.announcer.status(this.config.key);
  }

  /** The registry has what it should have of the service now. */
  get isSettled(): boolean {
    return this.announcement.reason === null && !this.heldBack;
  }

  /** The service and its visible predecessors, the newest first. */
  get lineage(): readonly RunningService[] {
    return this.#predecessor === null ? [this] : [this, ...this.#predecessor.lineage];
  }

  /** True while the service is healthy; until its health is known, its predecessor's health counts. */
  get isUp(): boolean {
    return this.#inCharge.health === 'up';
  }

  /** True when both have the same key in the same registry. */
  sharesRecordWith({ config, registry }: RunningService): boolean {
    return this.config.key === config.key && this.registry === registry;
  }

  /** Starts the checks, whose first probes come within `spreadMs`. They end when the service is stopped. */
  start(spreadMs: number): void {
    this.#health
      .run(() => this.#onHealth(), spreadMs, this.#checking.signal)
      .catch((error) => {
        this.#deps.log.error('service stopped unexpectedly', { service: this.config.name, reason: reasonOf(error) });
      });
  }

  /** Brings the registry up to date after an operator has drained or undrained the service, or changed its weight. */
  onOperatorChange(): void {
    const current = this.#inCharge;
    current.#update();
    current.#show({ operator: true });
    const { lineage } = current;
    for (const [i, replaced] of lineage.entries()) {
      // A replaced service must not change a record that a newer one has taken over.
      const newer = lineage.slice(0, i);
      if (i === 0 || newer.some((other) => other.sharesRecordWith(replaced))) continue;
      if (!this.#deps.isRecordInUse(replaced)) replaced.#showWhileStopping();
    }
  }

  /** Ends the checks of the service and of those that it replaces. Their records stay. */
  stop(): void {
    for (const service of this.lineage) {
      service.#move({ kind: 'stop' });
      service.#checking.abort();
    }
  }

  /** Gives up the record of a stopped service: withdraws it, or with `keepRecord` leaves it to another service. */
  retire({ keepRecord }: { readonly keepRecord: boolean }): void {
    this.#move({ kind: 'retire' });
    if (keepRecord) return;
    const { name, key, instance } = this.config;
    announcements.inc({ service: name, action: 'withdraw' });
    this.registry.announcer.withdraw(key, instance, { forget: true });
  }

  /** The service whose health counts: the predecessor, until this service's own health is known. */
  get #inCharge(): RunningService {
    return this.health === 'unknown' && this.#predecessor !== null ? this.#predecessor.#inCharge : this;
  }

  #onHealth(): void {
    this.#update();
    this.#show();
    this.#takeOver();
  }

  #update(): void {
    const replacing = this.#predecessor !== null;
    this.#move({ kind: 'changed', health: this.health, drained: this.#deps.isDrained(), replacing });
  }

  #move(event: ServiceEvent): void {
    this.#state = nextServiceState(this.#state, event);
  }

  #show(options: { readonly operator?: boolean } = {}): void {
    if (this.health === 'unknown') return;
    this.#announcement.show(this.health === 'up' ? this.#record : null, options);
  }

  /** Updates the record of a service that is no longer checked, and visible only until its successor is. */
  #showWhileStopping(): void {
    if (this.health !== 'up') return;
    announcements.inc({ service: this.config.name, action: 'announce' });
    this.registry.announcer.announce(this.config.key, this.#record);
  }

  get #record(): Instance {
    const weight = this.#deps.weight();
    const instance = weight === undefined ? this.config.instance : { ...this.config.instance, weight };
    return this.#deps.isDrained() ? { ...instance, state: 'drain' } : instance;
  }

  /** The health of this service counts from now on; the predecessor goes as soon as the registry shows this one. */
  #takeOver(): void {
    const predecessor = this.#predecessor;
    if (predecessor === null) return;
    predecessor.stop();
    if (this.#state === 'withdrawn') {
      this.#finishTakeover();
      return;
    }
    // The same instance may stay visible in its old registry for as long as the new registry cannot be reached. An
    // address that is no longer configured may not.
    const sameInstance = predecessor.lineage.some(({ config }) => config.key === this.config.key);
    const deadline = sameInstance ? this.#signal : timeoutSignal(this.#deps.takeoverTimeoutMs);
    const finish = (): void => this.#finishTakeover();
    this.registry.announcer.settled(deadline).then(finish, finish);
  }

  #finishTakeover(): void {
    const predecessor = this.#predecessor;
    if (predecessor === null || this.#signal.aborted) return;
    // The successor of a superseded service retires the whole lineage; a stopped service goes together with it.
    if (this.#superseded || this.#state === 'stopping' || this.#state === 'retired') return;
    this.#predecessor = null;
    this.#update();
    this.#deps.onTakenOver(this, predecessor);
  }
}
