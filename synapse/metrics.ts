import { Counter, Gauge } from 'prom-client';
import { registry } from '../common/daemon/metrics.ts';
import type { Instance, InstanceState } from '../common/instance.ts';
import type { PartStatus } from './source.ts';

/** What the gauges say of one service. */
export interface Observed {
  readonly name: string;
  /** What outputs were given; undefined while nothing is known. */
  readonly instances: readonly Instance[] | undefined;
  /** The discovery method. */
  readonly method: string;
  /** The source answered, and what it said is known to be current. */
  readonly up: boolean;
  /** Milliseconds since the last proof of that; null when the source does not say. */
  readonly age: number | null;
  /** Of a service with several sources. */
  readonly parts?: readonly PartStatus[] | undefined;
  /** Records that cannot be used, of the last answer. */
  readonly rejected: number;
  /** A configuration published in the registry is refused; undefined where none is there. */
  readonly refused?: boolean | undefined;
  /** Instances that are kept although their leases expired. */
  readonly suspects: number;
  /** How many are local, for services that prefer those. */
  readonly local?: number | undefined;
  /** Milliseconds of `clock.wallTime()`; null while nothing is known. */
  readonly changedAt: number | null;
}

let look: () => Iterable<Observed> = () => [];
let seen: readonly Observed[] | undefined;

/** Where the gauges of this process take their values from when someone asks. */
export function observe(services: () => Iterable<Observed>): void {
  look = services;
}

/** One look serves all gauges, which are asked one after the other: with a thousand services it is not for nothing. */
export function observedNow(): readonly Observed[] {
  if (seen === undefined) {
    seen = [...look()];
    queueMicrotask(() => {
      seen = undefined;
    });
  }
  return seen;
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
  help: 'Services of which instances are kept although their leases expired.',
  registers,
  collect() {
    this.set(observedNow().filter(({ suspects }) => suspects > 0).length);
  },
});

/** One value for each service; none where `of` gives undefined. */
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
  '1 while the source of a service has answered and its answer is known to be current, else 0.',
  ({ up }) => (up ? 1 : 0),
  ['method'],
);
gauge(
  'synapse_source_age_seconds',
  'Time since the last proof that what the source of a service says is current.',
  ({ age }) => (age === null ? undefined : age / 1000),
  ['method'],
);
new Gauge({
  name: 'synapse_source_in_use',
  help: '1 while the instances of this source count, else 0; of services that have several sources.',
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
  'Instances that are kept although their leases expired, because most of the service expired together.',
  ({ suspects }) => suspects,
);
gauge(
  'synapse_unusable_records',
  'Records of a service in its registry that cannot be used.',
  ({ rejected }) => rejected,
);
gauge('synapse_local_instances', 'Instances in the preferred zone, of services that have one.', ({ local }) => local);
gauge(
  'synapse_published_config_refused',
  '1 while the configuration published in the registry is refused and the one before stays, else 0; of services that have one.',
  ({ refused }) => (refused === undefined ? undefined : refused ? 1 : 0),
);

/** Instances that the expiry guard kept; one counts again when it expires again. */
export const guardedInstances = new Counter({
  name: 'synapse_guarded_instances_total',
  help: 'Instances that were kept as suspects because most of their service expired together.',
  labelNames: ['service'],
  registers,
});

/** Records found in a registry that cannot be used; one record counts again when it is written again. */
export const rejectedRecords = new Counter({
  name: 'synapse_rejected_records_total',
  help: 'Records that could not be used.',
  labelNames: ['service'],
  registers,
});

/** Instances that left a registry: `withdrawn` in good order, or `expired` because their announcer crashed or was cut off. */
export const goneInstances = new Counter({
  name: 'synapse_gone_instances_total',
  help: 'Instances that left the registry, by how: withdrawn in good order, or expired.',
  labelNames: ['service', 'how'],
  registers,
});

/** Snapshots given to HAProxy. */
export const applies = new Counter({
  name: 'synapse_applies_total',
  help: 'Snapshots given to HAProxy, by result: ok, or failed and tried again.',
  labelNames: ['result'],
  registers,
});
for (const result of ['ok', 'failed']) applies.inc({ result }, 0);

/** Starts of sources, by why: the first, another configuration, or a failure. */
export const sourceStarts = new Counter({
  name: 'synapse_source_starts_total',
  help: 'Starts of the source of a service, by reason: new, changed, or failed and tried again.',
  labelNames: ['service', 'reason'],
  registers,
});

/** Of services with several sources: from one to another. */
export const sourceSwitches = new Counter({
  name: 'synapse_source_switches_total',
  help: 'Switches of a service from one of its sources to another, by the source in use since then.',
  labelNames: ['service', 'source'],
  registers,
});

/** Files for other readers that could not be written; each is tried again. */
export const fileFailures = new Counter({
  name: 'synapse_file_output_failures_total',
  help: 'Writes of file_output that failed; each is tried again.',
  registers,
});

/** Configurations in the registry that are broken or could do harm. */
export const refusedConfigs = new Counter({
  name: 'synapse_published_configs_refused_total',
  help: 'Configurations published in the registry that were refused; what was in force before stays.',
  labelNames: ['service'],
  registers,
});

/** What begins at 0: a first one is then a step, and not a series that appears. */
export function prepare(service: string): void {
  sourceStarts.inc({ service, reason: 'failed' }, 0);
  for (const how of ['withdrawn', 'expired']) goneInstances.inc({ service, how }, 0);
  for (const counter of [rejectedRecords, guardedInstances, refusedConfigs]) counter.inc({ service }, 0);
}
