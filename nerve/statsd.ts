import { configReloads } from '../common/daemon/metrics.ts';
import type { StatsdNames } from '../common/statsd/reporter.ts';
import { announcements, launches, probes, reaps, throttled, transitions } from './metrics.ts';
import type { Nerve } from './nerve.ts';

/** The StatsD metrics of SmartStack's nerve that have a meaning here. */
export function statsdNames(nerve: Pick<Nerve, 'services'>, version: string): StatsdNames {
  return {
    program: 'nerve',
    counters: [
      { counter: configReloads, name: 'nerve.config.update', tags: ({ result }) => (result === 'ok' ? {} : undefined) },
      {
        counter: launches,
        name: 'nerve.watcher.launch',
        tags: ({ reason = '', service = '' }) => ({ launch_reason: reason, watcher_name: service }),
      },
      { counter: launches, name: 'nerve.watcher.start', tags: ({ service = '' }) => ({ service_name: service }) },
      {
        counter: reaps,
        name: 'nerve.watcher.reap',
        tags: ({ reason = '', service = '' }) => ({ reap_reason: reason, watcher_name: service }),
      },
      {
        counter: reaps,
        name: 'nerve.watcher.stop',
        tags: ({ service = '' }) => ({ stop_avenue: 'clean', stop_location: 'main_loop', service_name: service }),
      },
      {
        counter: probes,
        name: 'nerve.watcher.status.service_check',
        tags: ({ service = '', check = '', result }) => ({
          check_result: result === 'pass' ? 'up' : 'down',
          service_name: service,
          check_name: check,
        }),
      },
      {
        counter: transitions,
        name: 'nerve.watcher.status.transition',
        tags: ({ service = '', to = '' }) => ({ new_status: to, service_name: service }),
      },
      {
        counter: announcements,
        name: 'nerve.watcher.status.report.count',
        tags: ({ service = '' }) => ({ report_result: 'success', service_name: service }),
      },
      {
        counter: throttled,
        name: 'nerve.watcher.throttled',
        tags: ({ service = '', shadow = '' }) => ({ service_name: service, shadow_mode: shadow }),
      },
    ],
    *round() {
      for (const [service_name, { registry, announcement }] of nerve.services) {
        const ping_result = registry.announcer.lease.held ? 'success' : 'fail';
        yield ['nerve.watcher.status.ping.count', { ping_result, service_name, nerve_version: version }];
        if (announcement.error === null) continue;
        yield ['nerve.watcher.status.report.count', { report_result: 'fail', service_name }];
      }
    },
  };
}
