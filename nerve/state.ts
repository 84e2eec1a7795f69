import type { CheckStatus } from './checker.ts';
import type { Observed } from './metrics.ts';
import type { Nerve } from './nerve.ts';
import { registryHosts } from './registry.ts';
import type { Verdict } from './service.ts';
import type { Slot } from './slot.ts';

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
