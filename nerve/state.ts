import type { AnnouncementStatus } from './announcer.ts';
import type { CheckStatus } from './checker.ts';
import type { Nerve } from './nerve.ts';
import { registryHosts } from './registry.ts';
import type { Verdict } from './service.ts';

/** What `/api/v1/state` and `nerve status --json` show. */
export interface NerveState {
  readonly version: string;
  readonly ready: boolean;
  /** Why not, or null. */
  readonly reason: string | null;
  readonly services: readonly ServiceRecord[];
  readonly leases: readonly LeaseRecord[];
}

interface ServiceRecord extends AnnouncementStatus {
  readonly name: string;
  readonly instance: string;
  readonly key: string;
  readonly health: Verdict;
  /** Since when it has this health, ISO 8601. */
  readonly since: string;
  readonly drained: boolean;
  readonly checks: readonly CheckStatus[];
}

interface LeaseRecord {
  readonly hosts: readonly string[];
  readonly id: string | null;
  readonly held: boolean;
  readonly lastError: string | null;
}

export function describeState(nerve: Nerve, version: string): NerveState {
  const reason = nerve.ready();
  const services = [...nerve.slots].map(([name, { service, registry }]) => ({
    name,
    instance: service.config.instance.id,
    key: service.config.key,
    health: service.verdict,
    since: service.since,
    drained: nerve.isDrained(name),
    ...announcement(service.verdict, registry.announcer.status(service.config.key)),
    checks: service.checks,
  }));
  const leases = nerve.registries.map((registry) => ({ hosts: registryHosts(registry), ...registry.announcer.lease }));
  return { version, ready: reason === null, reason, services, leases };
}

/** Not announced because it is sick is a reason too. */
function announcement(health: Verdict, status: AnnouncementStatus): AnnouncementStatus {
  if (status.reason !== null || health === 'up') return status;
  return { ...status, reason: health === 'down' ? 'a check fails' : 'no check has a result yet' };
}
