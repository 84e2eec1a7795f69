import type { Instance } from '../../../common/instance.ts';
import type { ServiceFacts } from '../../../synapse/report/explain/facts.ts';
import { serviceReport } from './service-report.ts';

/** What is known of a service `api` with these instances, while all who know of it answer and nothing is odd. */
export function serviceFacts(instances: readonly Instance[], more: Partial<ServiceFacts> = {}): ServiceFacts {
  return {
    daemon: { running: true, reason: null },
    service: 'api',
    report: serviceReport({ revision: '9', instances }),
    haproxy: { sockets: [], problems: {} },
    seen: { servers: [], reason: null },
    registry: { records: [], reason: null },
    traces: {},
    sent: {},
    ...more,
  };
}
