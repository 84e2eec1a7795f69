import { Counter, Gauge, Histogram } from 'prom-client';
import type { Instance, InstanceState } from '../common/instance.ts';
import { registry } from '../common/metrics.ts';

/** What the gauges say of one service. */
export interface Observed {
  readonly name: string;
  /** What outputs were given; undefined while nothing is known. */
  readonly instances: readonly Instance[] | undefined;
  /** The source answered, and what it said is known to be current. */
  readonly up: boolean;
  /** Instances that are kept although their leases expired. */
  readonly suspects: number;
  /** How many are local, for services that prefer those. */
  readonly local?: number | undefined;
  /** Milliseconds of `Date.now()`; null while nothing is known. */
  readonly changedAt: number | null;
}

let read: () => Iterable<Observed> = () => [];

/** Where the gauges of this process take their values from when someone asks. */
export function observe(services: () => Iterable<Observed>): void {
  read = services;
}

const registers = [registry];

new Gauge({
  name: 'synapse_services',
  help: 'Services configured.',
  registers,
  collect() {
    this.set([...read()].length);
  },
});

new Gauge({
  name: 'synapse_instances',
  help: 'Instances given to HAProxy, by state.',
  labelNames: ['service', 'state'],
  registers,
  collect() {
    this.reset();
    for (const { name, instances = [] } of read()) {
      const counts: Record<Exclude<InstanceState, 'down'>, number> = { up: 0, drain: 0 };
      for (const { state } of instances) if (state !== 'down') counts[state] += 1;
      for (const [state, count] of Object.entries(counts)) this.set({ service: name, state }, count);
    }
  },
});

new Gauge({
  name: 'synapse_source_up',
  help: '1 while the source of a service has answered and its answer is known to be current, else 0.',
  labelNames: ['service'],
  registers,
  collect() {
    this.reset();
    for (const { name, up } of read()) this.set({ service: name }, up ? 1 : 0);
  },
});

new Gauge({
  name: 'synapse_source_last_change_timestamp_seconds',
  help: 'When the instances of a service last changed, in seconds since 1970.',
  labelNames: ['service'],
  registers,
  collect() {
    this.reset();
    for (const { name, changedAt } of read()) if (changedAt !== null) this.set({ service: name }, changedAt / 1000);
  },
});

new Gauge({
  name: 'synapse_suspect_instances',
  help: 'Instances that are kept although their leases expired, because most of the service expired together.',
  labelNames: ['service'],
  registers,
  collect() {
    this.reset();
    for (const { name, suspects } of read()) this.set({ service: name }, suspects);
  },
});

new Gauge({
  name: 'synapse_local_instances',
  help: 'Instances in the preferred zone, of services that have one.',
  labelNames: ['service'],
  registers,
  collect() {
    this.reset();
    for (const { name, local } of read()) if (local !== undefined) this.set({ service: name }, local);
  },
});

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

/** From the moment a change was seen to the moment HAProxy has it, seconds. */
export const propagation = new Histogram({
  name: 'synapse_propagation_seconds',
  help: 'From the moment a change was seen to the moment HAProxy has it.',
  buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  registers,
});

/** Snapshots that an output failed to apply; each is tried again. */
export const applyFailures = new Counter({
  name: 'synapse_apply_failures_total',
  help: 'Snapshots that could not be applied; each is tried again.',
  registers,
});

/** Configurations read again at SIGHUP. */
export const reloads = new Counter({
  name: 'synapse_config_reloads_total',
  help: 'Configurations read again, by result: ok, or invalid and the old one stayed in force.',
  labelNames: ['result'],
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
  name: 'synapse_refused_published_configs_total',
  help: 'Configurations published in the registry that were refused; what was in force before stays.',
  labelNames: ['service'],
  registers,
});
