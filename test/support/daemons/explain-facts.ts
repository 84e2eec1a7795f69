import { type Instance, type InstanceFields, makeInstance } from '../../../common/instance.ts';
import type { ServerStatistics } from '../../../synapse/haproxy/statistics/server-shape.ts';
import type { ServiceFacts } from '../../../synapse/report/explain/facts.ts';
import type { RegistryRecord } from '../../../synapse/source.ts';
import { serverReport } from './server-report.ts';
import { serviceFacts } from './service-facts.ts';

/** The id of the only instance. */
export const id = 'a_10.0.0.1:80';

/** The only instance of the service `api`. */
export const instance = (more: Partial<InstanceFields> = {}): Instance =>
  makeInstance({ name: 'a', host: '10.0.0.1', port: 80, ...more });

/** Its server in HAProxy. */
export const server = (more: Partial<ServerStatistics> = {}): ServerStatistics =>
  serverReport(id, { address: '10.0.0.1:80', check: 'L7OK', since: 5, ...more });

/** Its record in etcd. */
export const record: RegistryRecord = {
  where: `/nerve/services/api/${id}`,
  id,
  name: 'a',
  reason: null,
  announced_at: '2025-12-31T23:59:59.996Z',
  created: '7',
  revision: '9',
  lease: 'beef',
  ttl: 10,
  left: 8,
};

/** Its newest change. */
export const trace = {
  change: 'added',
  seen_at: '2026-01-01T00:00:00.000Z',
  milliseconds: 3,
  source: 'etcd',
  revision: '7',
} as const;

/** A service whose only instance is announced, used, and up in HAProxy. */
export const healthy: ServiceFacts = serviceFacts([instance()], {
  seen: { servers: [server()], reason: null },
  registry: { records: [record], reason: null },
  traces: { [id]: trace },
});

/** The same service after its instance has left. */
export const gone: ServiceFacts = {
  ...healthy,
  report: { ...healthy.report, instances: [] },
  registry: { records: [], reason: null },
  seen: { servers: [], reason: null },
};
