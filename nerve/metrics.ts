import { Counter, Gauge, Histogram } from 'prom-client';
import { registry } from '../common/daemon/metrics.ts';

/** The values of the gauges. */
export interface ObservedNerve {
  readonly services: readonly ObservedService[];
  readonly leases: { readonly held: number; readonly lost: number };
}

/** The values of one service's gauges. */
export interface ObservedService {
  readonly name: string;
  readonly up: boolean;
  readonly announced: boolean;
  readonly drained: boolean;
}

let read: () => ObservedNerve = () => ({ services: [], leases: { held: 0, lost: 0 } });

/** Names the source of the gauges' values. The gauges call it at each scrape. */
export function observe(source: () => ObservedNerve): void {
  read = source;
}

const registers = [registry];

/** Counts the probes of each check. */
export const probes = new Counter({
  name: 'nerve_probes_total',
  help: 'Probes, by result: pass, fail or timeout.',
  labelNames: ['service', 'check', 'result'],
  registers,
});

/** Measures the probes of each check. */
export const probeDuration = new Histogram({
  name: 'nerve_probe_duration_seconds',
  help: 'Duration of the probes.',
  labelNames: ['service', 'check'],
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  registers,
});

/** Measures how late this process starts its probes. */
export const probeLateness = new Histogram({
  name: 'nerve_probe_lateness_seconds',
  help: 'Delay between the planned and the real start of a probe: how far nerve itself is behind.',
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  registers,
});

gauge('nerve_service_up', '1 while all checks of the service are healthy, else 0.', ({ up }) => up);
gauge('nerve_service_announced', '1 while etcd has the key of the service, else 0.', ({ announced }) => announced);
gauge('nerve_service_drained', '1 while an operator drains the service, else 0.', ({ drained }) => drained);

new Gauge({
  name: 'nerve_services',
  help: 'Instances that this nerve checks.',
  registers,
  collect() {
    this.set(read().services.length);
  },
});

new Gauge({
  name: 'nerve_leases',
  help: 'Leases, by state: held, or lost while nerve requests another; one for each etcd cluster.',
  labelNames: ['state'] as const,
  registers,
  collect() {
    const { held, lost } = read().leases;
    this.set({ state: 'held' }, held);
    this.set({ state: 'lost' }, lost);
  },
});

/** Counts the health changes of each service. */
export const transitions = new Counter({
  name: 'nerve_transitions_total',
  help: 'Changes of the health of a service, the first known health included.',
  labelNames: ['service', 'to'],
  registers,
});

/** Counts the requests to the registry. */
export const announcements = new Counter({
  name: 'nerve_announcements_total',
  help: 'Requests to the registry: announce or withdraw.',
  labelNames: ['service', 'action'],
  registers,
});

/** Counts the announcements that exceed the rate limit. */
export const throttled = new Counter({
  name: 'nerve_throttled_total',
  help: 'Announcements that rate_limiting delayed, or would delay outside shadow mode.',
  labelNames: ['service', 'shadow'],
  registers,
});

/** Counts the services that nerve started. */
export const launches = new Counter({
  name: 'nerve_service_launches_total',
  help: 'Services started, by reason: new, or update because the options changed.',
  labelNames: ['service', 'reason'],
  registers,
});

/** Counts the services that nerve stopped. */
export const reaps = new Counter({
  name: 'nerve_service_reaps_total',
  help: 'Services stopped, by reason: old because the configuration no longer has them, or update because the options changed.',
  labelNames: ['service', 'reason'],
  registers,
});

/** Counts the questions to the proxies of a fleet, by what was asked and how that ended. */
export const fleetRequests = new Counter({
  name: 'nerve_fleet_requests_total',
  help: 'Questions to all proxies about one instance, by what they expect (drained, up or applied) and by outcome.',
  labelNames: ['expect', 'outcome'],
  registers,
});

/** Measures the questions that all proxies have acknowledged. */
export const fleetRequestDuration = new Histogram({
  name: 'nerve_fleet_request_duration_seconds',
  help: 'Time until every proxy had acknowledged a question; for drained, until the last connection had ended too.',
  labelNames: ['expect'],
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
  registers,
});

/** Starts the counters of a service at 0, so that its first failure is an increase and not a new series. */
export function initMetrics(service: string, checks: readonly string[]): void {
  for (const check of checks) {
    for (const result of ['pass', 'fail', 'timeout']) probes.inc({ service, check, result }, 0);
  }
  for (const to of ['up', 'down']) transitions.inc({ service, to }, 0);
  for (const action of ['announce', 'withdraw']) announcements.inc({ service, action }, 0);
  for (const reason of ['new', 'update']) launches.inc({ service, reason }, 0);
  for (const reason of ['old', 'update']) reaps.inc({ service, reason }, 0);
}

function gauge(name: string, help: string, flagOf: (service: ObservedService) => boolean): void {
  new Gauge({
    name,
    help,
    labelNames: ['service'],
    registers,
    collect() {
      this.reset();
      for (const service of read().services) this.set({ service: service.name }, flagOf(service) ? 1 : 0);
    },
  });
}
