import type { StatsdCounter, StatsdNames } from '../common/statsd/reporter.ts';
import { applies, type Observed, sourceStarts, sourceSwitches } from './metrics.ts';

/** The metrics that SmartStack's synapse sent to StatsD, where they have a meaning here. `output` has HAProxy's counters. */
export function statsdNames(
  observed: () => Iterable<Pick<Observed, 'name' | 'up'>>,
  version: string,
  output: readonly StatsdCounter[],
): StatsdNames {
  return {
    program: 'synapse',
    counters: [
      { counter: applies, name: 'synapse.config.update', tags: ({ result }) => (result === 'ok' ? {} : undefined) },
      {
        counter: applies,
        name: 'synapse.config.update_failed',
        tags: ({ result }) => (result === 'failed' ? { config_name: 'haproxy' } : undefined),
      },
      {
        counter: sourceStarts,
        name: 'synapse.watcher.start',
        tags: ({ service = '' }) => ({ start_result: 'success', watcher_name: service }),
      },
      {
        counter: sourceStarts,
        name: 'synapse.watcher.stop',
        tags: ({ service = '', reason }) =>
          reason === 'new'
            ? undefined
            : { stop_avenue: reason === 'failed' ? 'exception' : 'clean', watcher_name: service },
      },
      {
        counter: sourceSwitches,
        name: 'synapse.watcher.multi.resolver.sequential.switch',
        tags: ({ source = '' }) => ({ result: 'success', watcher: source }),
      },
      ...output,
    ],
    *round() {
      for (const { name, up } of observed()) {
        const ping_result = up ? 'success' : 'failure';
        yield ['synapse.watcher.ping.count', { watcher_name: name, ping_result, synapse_version: version }];
      }
    },
  };
}
