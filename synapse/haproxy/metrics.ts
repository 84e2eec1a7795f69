import { Counter, Gauge, Histogram } from 'prom-client';
import { registry } from '../../common/daemon/metrics.ts';
import type { StatsdCounter } from '../../common/statsd/reporter.ts';
import { reloadReasonKinds } from './spec/reload-reason.ts';

const registers = [registry];

/** Runtime API commands by kind and result. */
export const commandsTotal = new Counter({
  name: 'synapse_haproxy_commands_total',
  help: 'Runtime API commands sent to HAProxy, by command and result (done, surprise, refused, lost).',
  labelNames: ['command', 'result'] as const,
  registers,
});

/** Requests by service; in TCP mode, connections. */
export const requestsTotal = new Counter({
  name: 'synapse_haproxy_requests_total',
  help: 'Requests of a service as HAProxy counts them (in TCP mode connections), since synapse started.',
  labelNames: ['service'] as const,
  registers,
});

/** Requests that failed, by service and by what failed them. */
export const failedRequestsTotal = new Counter({
  name: 'synapse_haproxy_failed_requests_total',
  help: 'Requests of a service that failed, by what failed: connection (HAProxy reached no server, or its answer was cut off, late or invalid) or answer (the server answered 500 to 599).',
  labelNames: ['service', 'what'] as const,
  registers,
});

/** Sets the counters of a service to 0, so that their first increment is a step in a graph, not a new series. */
export function prepareTraffic(service: string): void {
  requestsTotal.inc({ service }, 0);
  for (const what of ['connection', 'answer']) failedRequestsTotal.inc({ service, what }, 0);
}

/** Reloads by the kind of their reason and by result. */
export const reloadsTotal = new Counter({
  name: 'synapse_haproxy_reloads_total',
  help: 'Reloads of HAProxy that synapse asked for, by reason (configuration, server, socket, membership) and result (done, failed).',
  labelNames: ['reason', 'result'] as const,
  registers,
});
for (const reason of reloadReasonKinds)
  for (const result of ['done', 'failed']) reloadsTotal.inc({ reason, result }, 0);

/** The duration of reloads that worked, in seconds. */
export const reloadDuration = new Histogram({
  name: 'synapse_haproxy_reload_duration_seconds',
  help: 'Time from asking for a reload until all workers run the new configuration.',
  buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  registers,
});

/** The time from a change being seen until HAProxy has confirmed it, in seconds. */
export const applyDuration = new Histogram({
  name: 'synapse_haproxy_apply_duration_seconds',
  help: 'Time from the moment a change was seen (the event of etcd arrived) until HAProxy has confirmed the commands for it.',
  buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  registers,
});

/** New configurations by result. */
export const configsTotal = new Counter({
  name: 'synapse_haproxy_configs_total',
  help: 'New configurations, by result: written in place, or refused by the check or while HAProxy loaded it.',
  labelNames: ['result'] as const,
  registers,
});
for (const result of ['written', 'refused'] as const) configsTotal.inc({ result }, 0);

/** The number of services of which HAProxy refuses something. */
export const quarantined = new Gauge({
  name: 'synapse_haproxy_quarantined_services',
  help: 'Services of which HAProxy refuses options, and that keep their last good ones.',
  registers,
});

/** The part of the status that the gauges show. */
export interface ObservedHaproxy {
  readonly sockets: readonly { readonly path: string; readonly connected: boolean }[];
  readonly held: readonly unknown[];
  readonly oldWorkers: number | null;
  readonly pendingReload: readonly unknown[];
  readonly waitingReload: Readonly<Record<string, number>>;
  readonly stuck: readonly unknown[];
  readonly rejected: string | null;
}

let status: () => ObservedHaproxy | undefined = () => undefined;

/** Sets where the gauges of this process take their values from at each scrape. */
export function observeHaproxy(now: () => ObservedHaproxy): void {
  status = now;
}

new Gauge({
  name: 'synapse_haproxy_up',
  help: '1 while the runtime API at this socket answers and its state has been read, else 0.',
  labelNames: ['socket'] as const,
  registers,
  collect() {
    this.reset();
    for (const { path, connected } of status()?.sockets ?? []) this.set({ socket: path }, connected ? 1 : 0);
  },
});

function gauge(name: string, help: string, of: (seen: ObservedHaproxy) => number | null): void {
  new Gauge({
    name,
    help,
    registers,
    collect() {
      const seen = status();
      this.set((seen && of(seen)) ?? 0);
    },
  });
}

gauge(
  'synapse_haproxy_held_servers',
  'Servers that an operator put into maintenance, drain or another weight, and that stay so.',
  ({ held }) => held.length,
);
gauge(
  'synapse_haproxy_old_workers',
  'Workers from before a reload that still have connections, as counted by the master process; 0 where there is no master process to ask.',
  ({ oldWorkers }) => oldWorkers,
);
gauge(
  'synapse_haproxy_reload_pending',
  '1 while a reload is due and has not been done, else 0.',
  ({ pendingReload }) => (pendingReload.length > 0 ? 1 : 0),
);
gauge(
  'synapse_haproxy_reload_limited_services',
  'Services whose records want more reloads than service_reload_interval allows, and wait for the next one.',
  ({ waitingReload }) => Object.keys(waitingReload).length,
);
gauge(
  'synapse_haproxy_stuck_servers',
  'Servers that HAProxy does not change as it should, not even by reloads.',
  ({ stuck }) => stuck.length,
);
gauge(
  'synapse_haproxy_config_refused',
  '1 while HAProxy refuses the new configuration as a whole and the old one stays, else 0.',
  ({ rejected }) => (rejected === null ? 0 : 1),
);

/** The counters that SmartStack's HAProxy generator sends to StatsD. */
export const haproxyStatsd: readonly StatsdCounter[] = [
  {
    counter: configsTotal,
    name: 'synapse.haproxy.check_config',
    tags: ({ result }) => ({ status: String(result === 'written') }),
  },
  {
    counter: reloadsTotal,
    name: 'synapse.haproxy.reload_failed',
    tags: ({ result }) => (result === 'failed' ? {} : undefined),
  },
];
