import { Counter } from 'prom-client';
import { shared } from '../../daemon/metrics.ts';

const registers = [shared];

/** Prefixes that were listed again, by reason. */
export const relists = new Counter({
  name: 'etcd_relists_total',
  help: 'Prefixes listed again, by reason.',
  labelNames: ['reason'] as const,
  registers,
});

/** Keys that a periodic list repaired. Each is due to a fault of the server or of this client. */
export const resyncRepairs = new Counter({
  name: 'etcd_resync_repairs_total',
  help: 'Keys that were wrong until a periodic list repaired them; should stay 0.',
  registers,
});
for (const reason of [
  'periodic',
  'contact-lost',
  'compacted',
  'canceled',
  'cluster-changed',
  'revision-went-back',
  'term-went-back',
  'history-differs',
] as const) {
  relists.inc({ reason }, 0);
}
