import { registryHosts } from './announce/registries.ts';
import type { ObservedNerve } from './metrics.ts';
import type { Nerve } from './nerve.ts';
import type { RunningService } from './running-service.ts';
import type { NerveState } from './status-shape.ts';

/** The state of nerve as `/api/v1/state` and `nerve status` show it. */
export function describeState(nerve: Nerve, version: string, configRefused?: string): NerveState {
  const reason = nerve.notReadyReason;
  const services = [...nerve.services].map(([name, service]) => {
    const { config, health, since, checks, announcement } = service;
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
      weight: nerve.weightOf(name) ?? config.instance.weight ?? null,
      weightGiven: nerve.weightOf(name) !== undefined,
      announced: announcement.announced,
      reason: announcementReason(service),
      settled: service.isSettled,
      checks,
    };
  });
  const leases = nerve.registries.map((registry) => {
    const { id, held, reason: lastError, rivals = [] } = registry.announcer.lease;
    return {
      hosts: registryHosts(registry),
      ttl: registry.ttlSeconds,
      id,
      held,
      lastError,
      ...(rivals.length > 0 && { rivals }),
    };
  });
  const refused = configRefused === undefined ? {} : { configRefused };
  return { version, ready: reason === null, reason, ...refused, services, leases };
}

/** The state of nerve as the gauges show it. */
export function observed(nerve: Nerve): ObservedNerve {
  const services = [...nerve.services].map(([name, { health, announcement }]) => {
    const drained = nerve.drainedSince(name) !== undefined;
    return { name, up: health === 'up', announced: announcement.announced, drained };
  });
  const held = nerve.registries.filter(({ announcer }) => announcer.lease.held).length;
  return { services, leases: { held, lost: nerve.registries.length - held } };
}

/** Why the service is not announced, or why nerve is not certain; null when it is announced. */
function announcementReason({ announcement, heldBack, health, registry }: RunningService): string | null {
  if (announcement.reason !== null) return announcement.reason;
  if (heldBack) return 'held back by rate_limiting';
  if (health === 'down') return 'a check fails';
  if (health === 'unknown') return 'no check has a result yet';
  return announcement.announced && !registry.announcer.lease.held ? 'last known state; nerve holds no lease now' : null;
}
