import { Counter } from 'prom-client';
import { shared } from '../../daemon/metrics.ts';

const registers = [shared];

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
