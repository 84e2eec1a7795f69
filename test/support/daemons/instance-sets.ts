import { type Instance, type InstanceFields, makeInstance } from '../../../common/instance.ts';
import type { LostInstance } from '../../../synapse/catalog/lost-instance.ts';
import type { Policy } from '../../../synapse/catalog/select.ts';
import type { InstanceSet } from '../../../synapse/source.ts';

/** The policy of a service whose configuration says nothing of it, without the guard against expiry. */
export const plainPolicy: Policy = {
  defaultServers: [],
  keepDefaultServers: false,
  usePreviousBackends: true,
  portOverride: undefined,
  filters: [],
  leaderElection: false,
};

/** An instance that is called as its host is; port 123. */
export function namedInstance(host: string, fields: Partial<InstanceFields> = {}): Instance {
  return makeInstance({ name: host, host, port: 123, ...fields });
}

/** What a source publishes that found these. */
export function setOf(...instances: readonly Instance[]): InstanceSet {
  return { instances, rejected: [], seenAt: 1 };
}

/** An instance that was lost a moment ago and has not been looked at. */
export function lostInstance(instance: Instance, lease = '7'): LostInstance {
  const phase = 'looking';
  return {
    instance,
    lease,
    key: null,
    at: 0,
    phase,
    look: null,
    lookedAt: null,
    failures: 0,
    lookAt: null,
    backAt: null,
  };
}
