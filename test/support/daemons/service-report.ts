import type { ServiceReport } from '../../../synapse/report/service-shape.ts';

/** The report of a service that etcd answers for, without instances. */
export function serviceReport(more: Partial<ServiceReport> = {}): ServiceReport {
  return {
    method: 'etcd',
    origin: 'discovered',
    reason: null,
    age: 0.25,
    revision: '42',
    changed_at: '2026-01-01T00:00:00.000Z',
    instances: [],
    left_out: [],
    rejected: [],
    ...more,
  };
}
