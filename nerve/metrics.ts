import { Counter, Gauge, Histogram } from 'prom-client';
import { registry } from '../common/metrics.ts';

const registers = [registry];

export const checkRuns = new Counter({
  name: 'nerve_check_runs_total',
  help: 'Probes made, by their result: pass, fail or timeout.',
  labelNames: ['service', 'check', 'result'],
  registers,
});

export const checkDuration = new Histogram({
  name: 'nerve_check_duration_seconds',
  help: 'How long probes took.',
  labelNames: ['service', 'check'],
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  registers,
});

export const checkLateness = new Histogram({
  name: 'nerve_check_lateness_seconds',
  help: 'How much later than planned probes were started: how far behind nerve itself is.',
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  registers,
});

export const serviceUp = new Gauge({
  name: 'nerve_service_up',
  help: '1 when all checks of the service are healthy, otherwise 0.',
  labelNames: ['service'],
  registers,
});

export const serviceDrained = new Gauge({
  name: 'nerve_service_drained',
  help: '1 when an operator drains the service, otherwise 0.',
  labelNames: ['service'],
  registers,
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

export const reloads = new Counter({
  name: 'nerve_reloads_total',
  help: 'Configurations read again at SIGHUP, by their result: ok or invalid.',
  labelNames: ['result'],
  registers,
});

/** Forgets the gauges of a service that is no longer configured; counters stay, so that rates come out right. */
export function forgetService(service: string): void {
  serviceUp.remove({ service });
  serviceDrained.remove({ service });
}
