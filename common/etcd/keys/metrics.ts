import { Counter } from 'prom-client';
import { shared } from '../../daemon/metrics.ts';

const registers = [shared];

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

/** Own keys that others deleted or changed, by how this process noticed. */
export const keyRepairs = new Counter({
  name: 'etcd_key_repairs_total',
  help: 'Own keys that others deleted or changed and that were repaired, by how it was noticed: watch or read.',
  labelNames: ['noticed'] as const,
  registers,
});
for (const noticed of ['watch', 'read'] as const) keyRepairs.inc({ noticed }, 0);
