import type { StatsdCounter } from '../../common/statsd/report.ts';
import { configsTotal, reloadsTotal } from './metrics.ts';

/** What SmartStack's HAProxy generator told StatsD. */
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
