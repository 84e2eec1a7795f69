import type { Instance } from '../../../common/instance.ts';
import type { ServiceFacts } from '../../../synapse/report/explain/facts.ts';

/** What is known of a service `api` with these instances, while all who know of it answer and nothing is odd. */
export function serviceFacts(instances: readonly Instance[], more: Partial<ServiceFacts> = {}): ServiceFacts {
  return {
    daemon: { running: true, reason: null },
    service: 'api',
    report: {
      method: 'etcd',
      origin: 'discovered',
      reason: null,
      age: 0.25,
      revision: '9',
      changed_at: '2026-01-01T00:00:00.000Z',
      instances,
      left_out: [],
      rejected: [],
    },
    haproxy: { sockets: [], problems: {} },
    seen: { servers: [], reason: null },
    registry: { records: [], reason: null },
    traces: {},
    sent: {},
    ...more,
  };
}
