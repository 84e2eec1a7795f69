import type { ServerStatistics } from '../../../synapse/haproxy/statistics/server-shape.ts';

/** A server that is up in HAProxy and has done nothing yet. */
export function serverReport(name: string, more: Partial<ServerStatistics> = {}): ServerStatistics {
  return {
    name,
    status: 'UP',
    current: 0,
    queued: 0,
    sessions: 0,
    requests: 0,
    errors: 0,
    failed: 0,
    retries: 0,
    active: 1,
    backup: 0,
    address: '',
    weight: 1,
    check: '',
    detail: '',
    since: 1,
    ...more,
  };
}
