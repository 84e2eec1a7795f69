import { Counter, Gauge, Histogram } from 'prom-client';
import { registry } from '../../common/metrics.ts';

const registers = [registry];

/** Runtime API commands by kind and how they went. */
export const commandsTotal = new Counter({
  name: 'synapse_haproxy_commands_total',
  help: 'Runtime API commands sent to HAProxy, by command and result (done, surprise, refused, lost).',
  labelNames: ['command', 'result'] as const,
  registers,
});

/** Reloads by the kind of their reason and how they went. */
export const reloadsTotal = new Counter({
  name: 'synapse_haproxy_reloads_total',
  help: 'Reloads of HAProxy that synapse asked for, by reason (configuration, server, socket, membership) and result.',
  labelNames: ['reason', 'result'] as const,
  registers,
});

/** From a change being seen to HAProxy having confirmed it. */
export const applyDuration = new Histogram({
  name: 'synapse_haproxy_apply_duration_seconds',
  help: 'Time from a change being seen by synapse until HAProxy has confirmed the commands.',
  buckets: [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  registers,
});

/** New files that HAProxy's check refused. */
export const configRejectedTotal = new Counter({
  name: 'synapse_haproxy_config_rejected_total',
  help: 'New configuration files that were not put in place because a check refused them.',
  registers,
});

/** Files put in place. */
export const configWritesTotal = new Counter({
  name: 'synapse_haproxy_config_writes_total',
  help: 'Configuration files put in place.',
  registers,
});

/** Whether each runtime API socket is connected and in step. */
export const up = new Gauge({
  name: 'synapse_haproxy_up',
  help: '1 while the runtime API at this socket answers and its state has been read.',
  labelNames: ['socket'] as const,
  registers,
});

/** Servers that an operator holds in another state than ours. */
export const heldServers = new Gauge({
  name: 'synapse_haproxy_held_servers',
  help: 'Servers that somebody else put into maintenance, drain or another weight, and that are left so.',
  registers,
});

/** Services of which HAProxy refuses something. */
export const quarantined = new Gauge({
  name: 'synapse_haproxy_quarantined_services',
  help: 'Services of which HAProxy refuses options, and that keep their last good ones.',
  registers,
});

/** Workers that finish their connections after a reload. */
export const oldWorkers = new Gauge({
  name: 'synapse_haproxy_old_workers',
  help: 'Workers of before a reload that still have connections, as counted by the master process.',
  registers,
});
