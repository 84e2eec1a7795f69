import { clock } from '../../common/async/clock.ts';
import type { Log } from '../../common/daemon/log.ts';
import type { OutputInstance, ServiceState, Snapshot } from '../output.ts';
import type { HaproxyConfig } from './options/config.ts';
import { AssignedPorts, PortAssigner } from './ports/port-assignment.ts';
import { BackendSpecs } from './spec/backends.ts';
import { createDesiredService, type DesiredService, nameInUse } from './spec/desired-service.ts';
import { configurationReason, type ReloadReason } from './spec/reload-reason.ts';
import type { BackendSpec } from './spec/types.ts';

/** The instances that a service has now. */
export interface InstanceChange {
  readonly desired: DesiredService;
  readonly instances: readonly OutputInstance[];
  /** When the change was seen, by `clock.now()`. */
  readonly seenAt: number;
  /** Another service may have taken the port: all servers are compared. */
  readonly all: boolean;
}

/** What a new snapshot changes. */
export interface DesiredChanges {
  readonly instances: readonly InstanceChange[];
  /** The changes that take another configuration. */
  readonly reasons: readonly ReloadReason[];
}

/** What {@link DesiredServices} needs. */
export interface DesiredServicesDeps {
  readonly log: Log;
  /** Gives servers the numbers that they have already, because the service has a backend now. */
  readonly renumber: (desired: DesiredService) => void;
}

/** What is desired of each service. Decides what a snapshot changes; sends and writes nothing. */
export class DesiredServices {
  /** By name, in the order of the configuration. Services that left it stay until the file is written without them. */
  readonly byName = new Map<string, DesiredService>();
  readonly #log: Log;
  readonly #renumber: (desired: DesiredService) => void;
  readonly #specs: BackendSpecs;
  /** Service → its section in synapse's own configuration, as it was when its spec was last worked out. */
  readonly #local = new Map<string, ServiceState['config']>();
  #config: HaproxyConfig;
  /** Made in {@link begin}. */
  #ports: AssignedPorts | undefined;
  #assigner: PortAssigner | undefined;

  constructor(config: HaproxyConfig, { log, renumber }: DesiredServicesDeps) {
    this.#config = config;
    this.#log = log;
    this.#renumber = renumber;
    this.#specs = new BackendSpecs(log, () => this.#config);
  }

  /** Service → why it cannot be in HAProxy. */
  get problems(): ReadonlyMap<string, string> {
    return this.#specs.problems;
  }

  /** The ports of `reload_free_services`; undefined before {@link begin}. */
  get ports(): AssignedPorts | undefined {
    return this.#ports;
  }

  /** Takes the options with everything decided that depends on HAProxy's version. To be called before {@link update}. */
  begin(config: HaproxyConfig): void {
    this.#config = config;
    this.#ports = new AssignedPorts(config);
    this.#assigner = new PortAssigner(this.#ports, this.#specs, this.#log);
  }

  /** Takes a snapshot, in which only the `changed` services differ from the previous one. */
  update(snapshot: Snapshot, changed: ReadonlySet<string>): DesiredChanges {
    const update = { snapshot, instances: [] as InstanceChange[], reasons: [] as ReloadReason[] };
    const moved = new Set<DesiredService>();
    for (const { desired, spec, occupant } of this.#assigner?.assign(snapshot, changed) ?? []) {
      moved.add(desired);
      this.byName.set(desired.service, desired);
      this.#want(desired, spec, update.reasons);
      const state = occupant === undefined ? undefined : snapshot.get(occupant);
      desired.local = state?.local ?? state?.config;
      const instances = occupant === undefined ? [] : state?.instances;
      const seenAt = state?.seenAt ?? clock.now();
      if (instances !== undefined) update.instances.push({ desired, instances, seenAt, all: true });
    }
    for (const name of changed) this.#updateService(name, moved, update);
    if (update.reasons.length > 0) this.#reorder(snapshot);
    return update;
  }

  #updateService(
    name: string,
    moved: ReadonlySet<DesiredService>,
    update: { readonly snapshot: Snapshot; readonly instances: InstanceChange[]; readonly reasons: ReloadReason[] },
  ): void {
    const state = update.snapshot.get(name);
    const onPort = this.#ports?.of(name);
    const desired = this.byName.get(name);
    const local = state?.local ?? state?.config;
    // Only what is published in the registry has changed: the reload counts against the budget of the service.
    const isPublished = local !== undefined && this.#local.get(name) === local;
    if (local === undefined) this.#local.delete(name);
    else this.#local.set(name, local);
    if (state === undefined || onPort !== undefined) {
      if (desired !== undefined && !isOnPoolPort(desired)) this.#want(desired, undefined, update.reasons);
      const isOnPort = state?.instances !== undefined && onPort !== undefined && !moved.has(onPort);
      if (isOnPort) update.instances.push(changeOf(onPort, state, state.instances));
      return;
    }
    const spec = this.#ports?.refused.has(name)
      ? undefined
      : this.#specs.unlessTaken(name, this.#specs.of(name, state.config));
    const present = desired ?? (spec && this.#add(name));
    if (present === undefined) return;
    present.local = local;
    this.#want(present, spec, update.reasons, isPublished);
    if (state.instances !== undefined) update.instances.push(changeOf(present, state, state.instances));
  }

  #add(name: string): DesiredService {
    const desired = createDesiredService(name, this.#config.max_server_id);
    this.byName.set(name, desired);
    return desired;
  }

  /** Sets the wanted spec; adds a reason when that takes another configuration. */
  #want(desired: DesiredService, spec: BackendSpec | undefined, reasons: ReloadReason[], isPublished = false): void {
    const { service, wanted } = desired;
    desired.wanted = spec;
    if (wanted?.fingerprint === spec?.fingerprint) {
      // Another service on the same port: the same for HAProxy.
      if (desired.active === wanted) desired.active = spec;
      return;
    }
    this.#specs.own(service, wanted, spec);
    if (wanted === undefined) this.#renumber(desired);
    const what = wanted === undefined ? 'is new' : spec === undefined ? 'was removed' : 'has other options';
    const isOnPort = (wanted ?? spec)?.poolPort !== undefined;
    const text = isOnPort ? 'the ports of reload_free_services changed' : `service ${service} ${what}`;
    reasons.push(configurationReason(text, isPublished ? { service } : {}));
  }

  #reorder(snapshot: Snapshot): void {
    const services = this.byName;
    const kept = new Set(
      [...snapshot.keys()].map((name) => services.get(name)).filter((desired) => desired !== undefined),
    );
    const onPorts = (this.#ports?.all ?? []).filter(({ service }) => services.has(service));
    for (const desired of onPorts) kept.delete(desired);
    const left = [...services.values()].filter((desired) => !kept.has(desired) && !onPorts.includes(desired));
    services.clear();
    for (const desired of [...kept, ...left, ...onPorts]) services.set(desired.service, desired);
  }
}

function changeOf(
  desired: DesiredService,
  { seenAt }: ServiceState,
  instances: readonly OutputInstance[],
): InstanceChange {
  return { desired, instances, seenAt, all: false };
}

function isOnPoolPort({ wanted, active }: DesiredService): boolean {
  return (wanted ?? active)?.poolPort !== undefined;
}

/** The services of which changes are: of servers, and of published `reasons`; undefined: the configuration has changed. */
export function servicesIn(
  changes: readonly { readonly desired: DesiredService; readonly isChanged: boolean }[],
  reasons: readonly ReloadReason[],
): readonly string[] | undefined {
  const services = changes.filter(({ isChanged }) => isChanged).map(({ desired }) => nameInUse(desired));
  for (const { service } of reasons) {
    if (service === undefined) return undefined;
    services.push(service);
  }
  return services;
}
