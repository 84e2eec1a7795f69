import { Counter, Gauge } from 'prom-client';
import { registry } from '../common/daemon/metrics.ts';
import type { Instance, InstanceState } from '../common/instance.ts';
import type { ServiceHealth } from './haproxy/statistics/health-shape.ts';
import type { PartStatus } from './source.ts';

/** The values of one service's gauges. */
export interface Observed {
  readonly name: string;
  /** The instances in use; undefined while nothing is known. */
  readonly instances: readonly Instance[] | undefined;
  /** The discovery method. */
  readonly method: string;
  /** The source has answered, and its answer is known to be current. */
  readonly up: boolean;
  /** Milliseconds since the last proof that the answer is current; null when the source does not say. */
  readonly age: number | null;
  /** The sources of a service that has several. */
  readonly parts?: readonly PartStatus[] | undefined;
  /** The number of records in the last answer that cannot be used. */
  readonly rejected: number;
  /** Whether the published configuration is refused; undefined when there is none. */
  readonly refused?: boolean | undefined;
  /** The number of instances that are kept because their leases were lost together. */
  readonly suspects: number;
  /** The number of other instances that are kept for a moment although their leases are gone. */
  readonly held: number;
  /** The number of instances that `max_instances` leaves out. */
  readonly overLimit: number;
  /** What HAProxy says of the service; undefined while it says nothing. */
  readonly health?: ServiceHealth | undefined;
  /** The number of instances that are left out because their host names have no addresses. */
  readonly unresolved: number;
  /** The number of instances that are left out because traffic may not go to their addresses. */
  readonly refusedInstances: number;
  /** The number of local instances, of a service with a preference. */
  readonly local?: number | undefined;
  /** Milliseconds of `clock.wallTime()`; null while nothing is known. */
  readonly changedAt: number | null;
}

let read: () => Iterable<Observed> = () => [];
/** The values of the present collection. */
let current: readonly Observed[] | undefined;

/** Sets where the gauges of this process take their values from when they are collected. */
export function observe(services: () => Iterable<Observed>): void {
  read = services;
}

/** The values now, read once for all gauges of a collection: with a thousand services, reading them takes time. */
export function observedNow(): readonly Observed[] {
  if (current === undefined) {
    current = [...read()];
    queueMicrotask(() => {
      current = undefined;
    });
  }
  return current;
}

const registers = [registry];

new Gauge({
  name: 'synapse_services',
  help: 'Services configured.',
  registers,
  collect() {
    this.set(observedNow().length);
  },
});

new Gauge({
  name: 'synapse_instances',
  help: 'Instances given to HAProxy, by state: up or drain.',
  labelNames: ['service', 'state'],
  registers,
  collect() {
    this.reset();
    for (const { name, instances = [] } of observedNow()) {
      const counts: Record<Exclude<InstanceState, 'down'>, number> = { up: 0, drain: 0 };
      for (const { state } of instances) if (state !== 'down') counts[state] += 1;
      for (const [state, count] of Object.entries(counts)) this.set({ service: name, state }, count);
    }
  },
});

new Gauge({
  name: 'synapse_guards_in_force',
  help: 'Services with instances that are kept as suspects, because many leases were lost together.',
  registers,
  collect() {
    this.set(observedNow().filter(({ suspects }) => suspects > 0).length);
  },
});

/** A gauge with one value for each service; none where `of` returns undefined. */
function gauge(
  name: string,
  help: string,
  of: (service: Observed) => number | undefined,
  labels: readonly ['method'] | [] = [],
): void {
  new Gauge({
    name,
    help,
    labelNames: ['service', ...labels],
    registers,
    collect() {
      this.reset();
      for (const service of observedNow()) {
        const value = of(service);
        if (value === undefined) continue;
        this.set({ service: service.name, ...(labels.length > 0 && { method: service.method }) }, value);
      }
    },
  });
}

gauge(
  'synapse_source_up',
  '1 while the source of a service has answered and its answer is known to be current, otherwise 0.',
  ({ up }) => (up ? 1 : 0),
  ['method'],
);
gauge(
  'synapse_source_age_seconds',
  'Time since the last proof that the answer of the source of a service is current.',
  ({ age }) => (age === null ? undefined : age / 1000),
  ['method'],
);
new Gauge({
  name: 'synapse_source_in_use',
  help: '1 while the instances of this source are used, otherwise 0; only for services with several sources.',
  labelNames: ['service', 'source'],
  registers,
  collect() {
    this.reset();
    for (const { name: service, parts = [] } of observedNow()) {
      for (const { name: source, role } of parts) this.set({ service, source }, role === 'used' ? 1 : 0);
    }
  },
});
gauge(
  'synapse_source_last_change_timestamp_seconds',
  'When the instances of a service last changed, in seconds since 1970.',
  ({ changedAt }) => (changedAt === null ? undefined : changedAt / 1000),
);
gauge(
  'synapse_suspect_instances',
  'Instances that are kept although their leases are gone, because many leases were lost together.',
  ({ suspects }) => suspects,
);
gauge(
  'synapse_instances_over_limit',
  'Instances that are left out because the service has more than max_instances.',
  ({ overLimit }) => overLimit,
);
gauge(
  'synapse_held_instances',
  'Instances that are kept for a moment although their leases are gone, because a wave of lost leases may follow.',
  ({ held }) => held,
);
gauge(
  'synapse_unusable_records',
  'Records of a service in its registry that cannot be used.',
  ({ rejected }) => rejected,
);
gauge(
  'synapse_unresolved_instances',
  'Instances that are left out because their host names have no addresses.',
  ({ unresolved }) => unresolved,
);
gauge(
  'synapse_refused_instances',
  'Instances that are left out because traffic may not go to their addresses.',
  ({ refusedInstances }) => refusedInstances,
);
gauge(
  'synapse_local_instances',
  'Instances in the preferred zone; only for services with a preference.',
  ({ local }) => local,
);
gauge(
  'synapse_published_config_refused',
  '1 while the newest published configuration is refused, otherwise 0; only for services that have one.',
  ({ refused }) => (refused === undefined ? undefined : refused ? 1 : 0),
);

/** Counts instances that the expiry guard kept as suspects; an instance counts again when it is lost again. */
export const guardedInstances = new Counter({
  name: 'synapse_guarded_instances_total',
  help: 'Instances that were kept as suspects, because many leases were lost together.',
  labelNames: ['service'],
  registers,
});

/** Counts instances that left their registry and came back, also when they stayed in use meanwhile. */
export const instanceReturns = new Counter({
  name: 'synapse_instance_returns_total',
  help: 'Instances that left their registry and came back, also when they stayed in use meanwhile.',
  labelNames: ['service'],
  registers,
});

/** Counts records that cannot be used; a record counts again when it is written again. */
export const rejectedRecords = new Counter({
  name: 'synapse_rejected_records_total',
  help: 'Records in the registry that could not be used; a record counts again when it is written again.',
  labelNames: ['service'],
  registers,
});

/** Counts records that are used without some of their fields. */
export const droppedFields = new Counter({
  name: 'synapse_records_with_dropped_fields_total',
  help: 'Records in the registry that are used without fields that cannot be used; a record counts again when they change.',
  registers,
});

/** Counts instances that left a registry. */
export const goneInstances = new Counter({
  name: 'synapse_gone_instances_total',
  help: 'Instances that left the registry, by how: withdrawn, or expired with their leases.',
  labelNames: ['service', 'how'],
  registers,
});

/** Counts snapshots that were given to HAProxy. */
export const applies = new Counter({
  name: 'synapse_applies_total',
  help: 'Snapshots given to HAProxy, by result: ok, or failed and tried again.',
  labelNames: ['result'],
  registers,
});
for (const result of ['ok', 'failed']) applies.inc({ result }, 0);

/** Counts lookups of host names of instances. */
export const nameLookups = new Counter({
  name: 'synapse_name_lookups_total',
  help: 'Lookups of host names of instances, by result: ok or failed.',
  labelNames: ['result'],
  registers,
});
for (const result of ['ok', 'failed']) nameLookups.inc({ result }, 0);

/** Counts starts of sources. */
export const sourceStarts = new Counter({
  name: 'synapse_source_starts_total',
  help: 'Starts of the source of a service, by reason: new, changed, or failed and tried again.',
  labelNames: ['service', 'reason'],
  registers,
});

/** Counts switches between the sources of a service that has several. */
export const sourceSwitches = new Counter({
  name: 'synapse_source_switches_total',
  help: 'Switches of a service from one of its sources to another, by the source in use since then.',
  labelNames: ['service', 'source'],
  registers,
});

/** Counts failed writes of `file_output`. */
export const fileFailures = new Counter({
  name: 'synapse_file_output_failures_total',
  help: 'Writes of file_output that failed; each is tried again.',
  registers,
});

/** Counts published configurations that were refused. */
export const refusedConfigs = new Counter({
  name: 'synapse_published_configs_refused_total',
  help: 'Published configurations that were refused; the previous one stays in force.',
  labelNames: ['service'],
  registers,
});

/** Sets a service's counters to 0, so that their first increment is a step in a graph, not a new series. */
export function prepare(service: string): void {
  sourceStarts.inc({ service, reason: 'failed' }, 0);
  for (const how of ['withdrawn', 'expired']) goneInstances.inc({ service, how }, 0);
  for (const counter of [rejectedRecords, guardedInstances, instanceReturns, refusedConfigs])
    counter.inc({ service }, 0);
}
