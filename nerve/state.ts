import { type Fields, field, optional } from '../common/cli/json-shape.ts';
import { registryHosts } from './announce/registries.ts';
import type { CheckStatus } from './health/checker.ts';
import type { Verdict } from './health/service.ts';
import type { Observed } from './metrics.ts';
import type { Nerve, Slot } from './nerve.ts';

/** What `/api/v1/state` and `nerve status --json` show. */
export interface NerveState {
  readonly version: string;
  readonly ready: boolean;
  /** Why not, or null. */
  readonly reason: string | null;
  readonly services: readonly ServiceRecord[];
  readonly leases: readonly LeaseRecord[];
}

interface ServiceRecord {
  readonly name: string;
  /** As in the configuration; the same for all instances of one service. */
  readonly service: string;
  readonly instance: string;
  readonly key: string;
  readonly health: Verdict;
  /** Since when it has this health, ISO 8601. */
  readonly since: string;
  readonly drained: boolean;
  /** Since when, or null. */
  readonly drainedSince: string | null;
  readonly announced: boolean;
  /** Why it is not announced, not yet as it shall be, or not for certain; null when there is nothing to say. */
  readonly reason: string | null;
  /** The registry shows what it shall show. */
  readonly settled: boolean;
  readonly checks: readonly CheckStatus[];
}

interface LeaseRecord {
  readonly hosts: readonly string[];
  /** Seconds. */
  readonly ttl: number;
  readonly id: string | null;
  readonly held: boolean;
  readonly lastError: string | null;
}

export function describeState(nerve: Nerve, version: string): NerveState {
  const reason = nerve.ready();
  const services = [...nerve.slots].map(([name, slot]) => {
    const { config, verdict: health, since, checks } = slot.service;
    const { announced, reason: registryReason } = slot.registry.announcer.status(config.key);
    const drainedSince = nerve.drainedSince(name) ?? null;
    return {
      name,
      service: config.service,
      instance: config.instance.id,
      key: config.key,
      health,
      since,
      drained: drainedSince !== null,
      drainedSince,
      announced,
      reason: registryReason ?? quietReason(slot) ?? (announced ? doubt(slot) : null),
      settled: registryReason === null && !slot.announcement.held,
      checks,
    };
  });
  const leases = nerve.registries.map((registry) => {
    return { hosts: registryHosts(registry), ttl: registry.ttl, ...registry.announcer.lease };
  });
  return { version, ready: reason === null, reason, services, leases };
}

/** The same for the gauges. */
export function observed(nerve: Nerve): Observed {
  const services = [...nerve.slots].map(([name, { service, registry }]) => {
    const { announced } = registry.announcer.status(service.config.key);
    return { name, up: service.verdict === 'up', announced, drained: nerve.drainedSince(name) !== undefined };
  });
  const held = nerve.registries.filter(({ announcer }) => announcer.lease.held).length;
  return { services, leases: { held, lost: nerve.registries.length - held } };
}

/** Why it may be there no longer. */
function doubt({ registry }: Slot): string | null {
  return registry.announcer.lease.held ? null : 'as last known: no lease is held now';
}

/** Why the registry is right not to show it. */
function quietReason({ service, announcement }: Slot): string | null {
  if (announcement.held) return 'held back by rate_limiting';
  if (service.verdict === 'up') return null;
  return service.verdict === 'down' ? 'a check fails' : 'no check has a result yet';
}

const result: Fields = {
  fields: {
    outcome: field('text', 'pass, fail or timeout'),
    milliseconds: field('number', 'how long the probe took'),
    reason: field({ orNull: 'text' }, 'why it did not pass'),
    at: field('text', 'when, ISO 8601'),
  },
};

const check: Fields = {
  fields: {
    name: field('text', 'of the check'),
    type: field('text', 'kind of check'),
    up: field({ orNull: 'boolean' }, 'what it makes of its results; null before the first'),
    last: field({ orNull: result }, 'the newest result'),
    recent: field({ list: result }, 'the last few, newest first'),
  },
};

const service: Fields = {
  fields: {
    name: field('text', 'unique in this nerve'),
    service: field('text', 'as in the configuration; the same for all instances of one service'),
    instance: field('text', 'its id: the name of the server in HAProxy'),
    key: field('text', 'in etcd'),
    health: field('text', 'up, down or unknown'),
    since: field('text', 'when it became that, ISO 8601'),
    drained: field('boolean', 'somebody drains it'),
    drainedSince: field({ orNull: 'text' }, 'since when, ISO 8601'),
    announced: field('boolean', 'etcd has it, as far as nerve knows'),
    reason: field({ orNull: 'text' }, 'why it is not announced, not yet as it shall be, or not for certain'),
    settled: field('boolean', 'etcd shows what it shall show'),
    checks: field({ list: check }, 'each check of the service'),
  },
};

const lease: Fields = {
  fields: {
    hosts: field({ list: 'text' }, 'members of the cluster'),
    ttl: field('number', 'seconds'),
    id: field({ orNull: 'text' }, 'in hexadecimal'),
    held: field('boolean', 'granted, and kept alive'),
    lastError: field({ orNull: 'text' }, 'why it is not'),
  },
};

const registered: Fields = {
  fields: {
    name: field('text', 'of the service'),
    instance: field('text', 'its id'),
    key: field('text', 'in etcd'),
    announced: field({ orNull: 'boolean' }, 'etcd has the key; null when it cannot be asked'),
    reason: field({ orNull: 'text' }, 'why it cannot be asked, or why the record cannot be used'),
    revision: field({ orNull: 'text' }, 'at which it was last written'),
    lease: field({ orNull: 'text' }, 'that keeps it, in hexadecimal'),
    ttl: field({ orNull: 'number' }, 'seconds that the lease was granted for'),
    left: field({ orNull: 'number' }, 'seconds left of it'),
  },
};

/** `nerve status --json`. */
export const statusShape: Fields = {
  fields: {
    version: field('text', 'of nerve'),
    ready: field('boolean', 'it holds its lease'),
    reason: field({ orNull: 'text' }, 'why it is not ready'),
    daemon: field(
      {
        fields: {
          running: field('boolean', 'it answered'),
          reason: field({ orNull: 'text' }, 'why it did not; null when it did'),
        },
      },
      'whether nerve answered; if not, only registry says anything',
    ),
    services: field({ list: service }, 'each instance that this nerve looks after'),
    leases: field({ list: lease }, 'one for each cluster'),
    registry: optional({ list: registered }, 'without a running nerve: what etcd has'),
  },
};

/** One service as etcd has it, read without a running nerve. */
export interface RegistryState {
  readonly name: string;
  readonly instance: string;
  readonly key: string;
  /** Etcd has the key; null when it could not be asked. */
  readonly announced: boolean | null;
  /** Why it could not be asked, or why the record cannot be used. */
  readonly reason: string | null;
  /** The revision at which it was last written; null when it is not there. */
  readonly revision: string | null;
  /** In hexadecimal, with seconds: what it was granted for, and what is left. Null when not there or not known. */
  readonly lease: string | null;
  readonly ttl: number | null;
  readonly left: number | null;
}

/** What `nerve status` shows. */
export interface NerveStatus extends NerveState {
  readonly daemon: { readonly running: boolean; readonly reason: string | null };
  /** Without a daemon: what etcd has. */
  readonly registry?: readonly RegistryState[];
}
