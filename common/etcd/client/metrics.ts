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

/** Changes received from watches, without those that were received before. */
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

/** Keepalives that were answered. */
export const leaseRenewals = new Counter({
  name: 'etcd_lease_renewals_total',
  help: 'Lease keepalives that were answered.',
  registers,
});

/** Leases that etcd no longer knew: expired or revoked. */
export const leasesLost = new Counter({
  name: 'etcd_leases_lost_total',
  help: 'Leases that etcd no longer knew, because they expired or were revoked.',
  registers,
});

/** Keys of ours that others deleted or changed, by how that was noticed. */
export const keyRepairs = new Counter({
  name: 'etcd_key_repairs_total',
  help: 'Own keys that were deleted or changed by others and put right, by how it was noticed: watch or read.',
  labelNames: ['noticed'] as const,
  registers,
});
for (const noticed of ['watch', 'read'] as const) keyRepairs.inc({ noticed }, 0);

/** Prefixes listed again, by the reason. */
export const relists = new Counter({
  name: 'etcd_relists_total',
  help: 'Prefixes read anew, by reason.',
  labelNames: ['reason'] as const,
  registers,
});

/** Keys that a periodic list put right. Anything but zero is a fault of the server or of ours. */
export const resyncRepairs = new Counter({
  name: 'etcd_resync_repairs_total',
  help: 'Keys that were wrong until a periodic list put them right; should stay 0.',
  registers,
});
for (const reason of ['periodic', 'compacted', 'canceled', 'cluster-changed', 'revision-went-back'] as const) {
  relists.inc({ reason }, 0);
}
