import { type Instance, type InstanceFields, makeInstance } from '../../../common/instance.ts';
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
