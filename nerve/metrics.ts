import { Counter, Gauge, Histogram } from 'prom-client';
import { registry } from '../common/daemon/metrics.ts';

/** What the gauges say. */
export interface Observed {
  readonly services: readonly ObservedService[];
  readonly leases: { readonly held: number; readonly lost: number };
}

export interface ObservedService {
  readonly name: string;
  readonly up: boolean;
  readonly announced: boolean;
  readonly drained: boolean;
}

let read: () => Observed = () => ({ services: [], leases: { held: 0, lost: 0 } });

/** Where the gauges of this process take their values from when someone asks. */
export function observe(now: () => Observed): void {
  read = now;
}

const registers = [registry];

export const probes = new Counter({
  name: 'nerve_probes_total',
  help: 'Probes made, by their result: pass, fail or timeout.',
  labelNames: ['service', 'check', 'result'],
  registers,
});

export const probeDuration = new Histogram({
  name: 'nerve_probe_duration_seconds',
  help: 'How long probes took.',
  labelNames: ['service', 'check'],
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  registers,
});

export const probeLateness = new Histogram({
  name: 'nerve_probe_lateness_seconds',
  help: 'How much later than planned probes were started: how far behind nerve itself is.',
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  registers,
});

gauge('nerve_service_up', '1 while all checks of the service are healthy, else 0.', ({ up }) => up);
gauge('nerve_service_announced', '1 while etcd shows the service, else 0.', ({ announced }) => announced);
gauge('nerve_service_drained', '1 while an operator drains the service, else 0.', ({ drained }) => drained);

new Gauge({
  name: 'nerve_services',
  help: 'Instances of services that this nerve checks.',
  registers,
  collect() {
    this.set(read().services.length);
  },
});

new Gauge({
  name: 'nerve_leases',
  help: 'Leases, by state: held, or lost and asked for again; one for each etcd cluster.',
  labelNames: ['state'] as const,
  registers,
  collect() {
    const { held, lost } = read().leases;
    this.set({ state: 'held' }, held);
    this.set({ state: 'lost' }, lost);
  },
});

export const transitions = new Counter({
  name: 'nerve_transitions_total',
  help: 'Changes of the health of a service, the first verdict included.',
  labelNames: ['service', 'to'],
  registers,
});

export const announcements = new Counter({
  name: 'nerve_announcements_total',
  help: 'What was asked of the registry: announce or withdraw.',
  labelNames: ['service', 'action'],
  registers,
});

export const throttled = new Counter({
  name: 'nerve_throttled_total',
  help: 'Announcements that rate_limiting refused for the moment, or would have if it were not in shadow mode.',
  labelNames: ['service', 'shadow'],
  registers,
});

/** Services that were started: new ones, and those whose options changed. */
export const launches = new Counter({
  name: 'nerve_service_launches_total',
  help: 'Services started, by reason: new, or update because their options changed.',
  labelNames: ['service', 'reason'],
  registers,
});

export const reaps = new Counter({
  name: 'nerve_service_reaps_total',
  help: 'Services ended, by reason: old because they left the configuration, or update because a changed one took over.',
  labelNames: ['service', 'reason'],
  registers,
});

/** What begins at 0: a first failure is then a step, and not a series that appears. */
export function prepare(service: string, checks: readonly string[]): void {
  for (const check of checks) {
    for (const result of ['pass', 'fail', 'timeout']) probes.inc({ service, check, result }, 0);
  }
  for (const to of ['up', 'down']) transitions.inc({ service, to }, 0);
  for (const action of ['announce', 'withdraw']) announcements.inc({ service, action }, 0);
  for (const reason of ['new', 'update']) launches.inc({ service, reason }, 0);
  for (const reason of ['old', 'update']) reaps.inc({ service, reason }, 0);
}

function gauge(name: string, help: string, of: (service: ObservedService) => boolean): void {
  new Gauge({
    name,
    help,
    labelNames: ['service'],
    registers,
    collect() {
      this.reset();
      for (const service of read().services) this.set({ service: service.name }, of(service) ? 1 : 0);
    },
  });
}
