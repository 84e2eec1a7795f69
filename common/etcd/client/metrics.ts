import { Counter, Histogram } from 'prom-client';
import { shared } from '../../daemon/metrics.ts';

const registers = [shared];

/** Unary calls to etcd by method and outcome (`OK` or gRPC's name of the code), one per attempt. */
export const requests = new Counter({
  name: 'etcd_requests_total',
  help: 'Unary calls to etcd, one per attempt.',
  labelNames: ['method', 'code'] as const,
  registers,
});

/** How long each attempt of a unary call took. */
export const requestSeconds = new Histogram({
  name: 'etcd_request_duration_seconds',
  help: 'Duration of unary calls to etcd, per attempt.',
  labelNames: ['method'] as const,
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  registers,
});

/** Changes received from watches; repeated ones are not counted. */
export const watchEvents = new Counter({
  name: 'etcd_watch_events_total',
  help: 'Changes received from watches.',
  registers,
});

/** Watch streams that ended, by the reason. */
export const watchStreamEnds = new Counter({
  name: 'etcd_watch_stream_ends_total',
  help: 'Watch streams that ended, by reason.',
  labelNames: ['reason'] as const,
  registers,
});
for (const reason of ['open', 'stream', 'token'] as const) watchStreamEnds.inc({ reason }, 0);
