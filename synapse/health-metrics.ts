import { Gauge } from 'prom-client';
import { registry } from '../common/daemon/metrics.ts';
import { observedNow } from './metrics.ts';

const registers = [registry];

/** The servers of each service by HAProxy's word; services that HAProxy does not have are left out. */
export const haproxyServers = new Gauge({
  name: 'synapse_haproxy_servers',
  help: "Servers of a service by HAProxy's word: up (they pass its check), unchecked, down, or out (drain, maintenance, weight 0).",
  labelNames: ['service', 'status'],
  registers,
  collect() {
    this.reset();
    for (const { name: service, health } of observedNow()) {
      for (const [status, count] of Object.entries(health?.servers ?? {})) this.set({ service, status }, count);
    }
  },
});

/** The requests that wait in the queue of each service. */
export const queuedRequests = new Gauge({
  name: 'synapse_haproxy_queued_requests',
  help: 'Requests that wait for a server of a service.',
  labelNames: ['service'],
  registers,
  collect() {
    this.reset();
    for (const { name: service, health } of observedNow()) {
      if (health?.traffic !== undefined) this.set({ service }, health.traffic.queued);
    }
  },
});
