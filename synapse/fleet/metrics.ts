import { Counter, Gauge, Histogram } from 'prom-client';
import { registry } from '../../common/daemon/metrics.ts';

const registers = [registry];

/** The fleet as this synapse sees it. */
export interface ObservedFleet {
  readonly requests: number;
  /** Undefined while it is not known. */
  readonly proxies: number | undefined;
}

let read: () => ObservedFleet | undefined = () => undefined;

/** Sets where the gauges take their values from when they are collected. */
export function observeFleet(fleet: () => ObservedFleet | undefined): void {
  read = fleet;
}

new Gauge({
  name: 'synapse_fleet_requests',
  help: 'Requests to the fleet that concern this synapse and are open.',
  registers,
  collect() {
    this.set(read()?.requests ?? 0);
  },
});

new Gauge({
  name: 'synapse_fleet_proxies',
  help: 'Synapses of the fleet when they were last counted, this one included; 0 while that is not known.',
  registers,
  collect() {
    this.set(read()?.proxies ?? 0);
  },
});

/** Acknowledgements by what they say; `ignored`: requests that cannot be followed. */
export const acknowledgements = new Counter({
  name: 'synapse_fleet_acknowledgements_total',
  help: 'Acknowledgements of requests to the fleet, by result: applied, quiet, unused, cannot; ignored: requests that cannot be followed.',
  labelNames: ['result'] as const,
  registers,
});
for (const result of ['applied', 'quiet', 'unused', 'cannot', 'ignored']) acknowledgements.inc({ result }, 0);

/** From when a request was seen until the first acknowledgement of it. */
export const secondsToAcknowledge = new Histogram({
  name: 'synapse_fleet_acknowledgement_seconds',
  help: 'Time from seeing a request to the fleet until its first acknowledgement.',
  buckets: [0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60],
  registers,
});
