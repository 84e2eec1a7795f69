import type { Log } from '../../../common/daemon/log.ts';
import type { Snapshot } from '../../output.ts';
import type { HaproxyConfig } from '../options/config.ts';
import type { BackendSpecs } from '../spec/backends.ts';
import { createDesiredService, type DesiredService } from '../spec/desired-service.ts';
import type { BackendSpec } from '../spec/types.ts';
import {
  assignPorts,
  type Candidate,
  createPortPool,
  noAssignment,
  occupiedSpec,
  type PoolPort,
  type PortAssignment,
  type PortPool,
} from './port-pool.ts';

/** A port of the pool whose backend spec has to change. */
export interface PortChange {
  readonly desired: DesiredService;
  /** Undefined: the port leaves the pool, because a service listens on it by itself. */
  readonly spec: BackendSpec | undefined;
  /** The service that is on the port now; undefined when it is vacant. */
  readonly occupant: string | undefined;
}

/** The ports of `reload_free_services` and the services that are on them. */
export class AssignedPorts {
  /** What is desired of each port's backend, in the order of the ports. */
  readonly all: readonly DesiredService[];
  readonly #pool: PortPool;
  /** Port → what is desired of its backend. */
  readonly #desired = new Map<number, DesiredService>();
  /** Spec of a service → the spec of its port with that service on it. */
  readonly #occupiedSpecs = new WeakMap<BackendSpec, BackendSpec>();
  #assignment: PortAssignment = noAssignment;

  /** No service is on a port yet. */
  constructor(config: HaproxyConfig) {
    this.#pool = createPortPool(config);
    for (const { port, vacant } of this.#pool.values()) {
      this.#desired.set(port, createDesiredService(vacant.backend, config.max_server_id));
    }
    this.all = [...this.#desired.values()];
  }

  /** Service on a port of the pool that needs a frontend of its own, and so reloads → why. */
  get ownFrontend(): ReadonlyMap<string, string> {
    return this.#assignment.ownFrontend;
  }

  /** Service that cannot be in HAProxy → why: another service has its port. */
  get refused(): ReadonlyMap<string, string> {
    return this.#assignment.refused;
  }

  /** Service → the backend of its port. */
  get backends(): Readonly<Record<string, string>> {
    const entries = [...this.#assignment.occupants].map(([port, { service }]) => [
      service,
      this.#pool.get(port)?.vacant.backend,
    ]);
    return Object.fromEntries(entries) as Record<string, string>;
  }

  /** What is desired of the port that a service is on; undefined when it is on none. */
  of(service: string): DesiredService | undefined {
    const port = this.#assignment.ports.get(service);
    return port === undefined ? undefined : this.#desired.get(port);
  }

  /**
   * Assigns the ports to these services, which come in the order of the configuration. Returns the ports whose spec has to
   * change: all of them the first time.
   */
  assign(candidates: Iterable<Candidate>): readonly PortChange[] {
    this.#assignment = assignPorts(this.#pool, candidates);
    const changes: PortChange[] = [];
    for (const poolPort of this.#pool.values()) {
      const desired = this.#desired.get(poolPort.port) as DesiredService;
      const spec = this.#specOf(poolPort);
      if (spec === desired.wanted) continue;
      changes.push({ desired, spec, occupant: this.#assignment.occupants.get(poolPort.port)?.service });
    }
    return changes;
  }

  #specOf(poolPort: PoolPort): BackendSpec | undefined {
    const { occupants, blocked } = this.#assignment;
    if (blocked.has(poolPort.port)) return undefined;
    const candidate = occupants.get(poolPort.port);
    if (candidate === undefined) return poolPort.vacant;
    let spec = this.#occupiedSpecs.get(candidate.spec);
    if (spec === undefined) {
      spec = occupiedSpec(poolPort, candidate);
      this.#occupiedSpecs.set(candidate.spec, spec);
    }
    return spec;
  }
}

/** Assigns the ports of `reload_free_services` to the services of each snapshot. */
export class PortAssigner {
  readonly #ports: AssignedPorts;
  readonly #specs: BackendSpecs;
  readonly #log: Log;
  /** Service → the spec with which ports were last assigned. */
  readonly #assigned = new Map<string, BackendSpec>();

  constructor(ports: AssignedPorts, specs: BackendSpecs, log: Log) {
    this.#ports = ports;
    this.#specs = specs;
    this.#log = log;
  }

  /** Assigns the ports again if the spec of a changed service is another one. Returns the ports whose spec has to change. */
  assign(snapshot: Snapshot, changed: ReadonlySet<string>): readonly PortChange[] {
    if (this.#ports.all.length === 0 || !this.#takeSpecs(snapshot, changed)) return [];
    const candidates: Candidate[] = [];
    for (const { name, config } of snapshot.values()) {
      const spec = this.#assigned.get(name);
      if (spec !== undefined) candidates.push({ service: name, spec, config });
    }
    const before = new Map([...this.#ports.ownFrontend, ...this.#ports.refused]);
    const changes = this.#ports.assign(candidates);
    for (const [service, reason] of this.#ports.refused) {
      if (before.get(service) !== reason) this.#log.error('a service cannot be in HAProxy', { service, reason });
    }
    for (const [service, reason] of this.#ports.ownFrontend) {
      if (before.get(service) === reason) continue;
      this.#log.warn('a service on a port of reload_free_services needs reloads', { service, reason });
    }
    return changes;
  }

  /** True when a spec is another one, or nothing has been assigned yet. */
  #takeSpecs(snapshot: Snapshot, changed: ReadonlySet<string>): boolean {
    let isChanged = this.#assigned.size === 0 && this.#ports.all.every(({ wanted }) => wanted === undefined);
    for (const name of changed) {
      const state = snapshot.get(name);
      const spec = state && this.#specs.of(name, state.config);
      if (this.#assigned.get(name) === spec) continue;
      isChanged = true;
      if (spec === undefined) this.#assigned.delete(name);
      else this.#assigned.set(name, spec);
    }
    return isChanged;
  }
}
