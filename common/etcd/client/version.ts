import { clock } from '../../async/clock.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import { isDenied } from './errors.ts';
import type { Member } from './member.ts';

/** Oldest release whose watches and leases have no known fault that loses something (etcd's CHANGELOG-3.5). */
const recommended = [3, 5, 28] as const;

/** True when `version` is at least `minimum`; false for what is no version. */
export function atLeast(version: string | undefined, minimum: readonly [number, number, number]): boolean {
  const match = /^(\d+)\.(\d+)\.(\d+)/.exec(version ?? '');
  if (match === null) return false;
  for (const [index, least] of minimum.entries()) {
    const part = Number(match[index + 1]);
    if (part !== least) return part > least;
  }
  return true;
}

/** True for releases that can lose watch events in ways no client sees; synapse lists more often there. */
export function losesEvents(version: string | undefined): boolean {
  return version !== undefined && !atLeast(version, [3, 5, 0]);
}

/**
 * True for releases in which a member that led before it was frozen or cut off may, once it is back, revoke leases that
 * are kept alive elsewhere. etcd's CHANGELOGs call it fixed in 3.4.31 and 3.5.13; it is rarer since, and was seen on 3.5.30.
 */
export function revokesWrongly(version: string | undefined): boolean {
  if (version === undefined) return false;
  return atLeast(version, [3, 5, 0]) ? !atLeast(version, [3, 5, 13]) : !atLeast(version, [3, 4, 31]);
}

/** Learns each member's version once it has answered, in the background, and warns once about each that has known faults. */
export function adviseOnVersion(log: Log): (member: Member) => void {
  const asked = new Map<string, number>();
  const warned = new Set<string>();
  return (member) => {
    if (member.version !== undefined) return;
    const now = clock.now();
    if (now - (asked.get(member.url) ?? Number.NEGATIVE_INFINITY) < 30_000) return;
    asked.set(member.url, now);
    const learn = async (): Promise<void> => {
      const { rpc } = await member.rpc(2_000);
      const { version } = await rpc.maintenance.status({});
      member.version = version;
      if (warned.has(version) || atLeast(version, recommended)) return;
      warned.add(version);
      const why = atLeast(version, [3, 5, 0])
        ? 'releases before 3.5.28 have known faults in watches and leases'
        : 'etcd 3.4 is at its end of life and has known faults in watches and leases';
      log.warn('etcd is old, please upgrade to 3.5.28 or later', { member: member.url, version, why });
    };
    learn().catch((error: unknown) => {
      const reason = reasonOf(error);
      log.debug('etcd version unknown', { member: member.url, reason });
      // Releases that tell root only (3.5.30) have none of the faults that are asked for.
      if (isDenied(reason)) asked.set(member.url, Number.POSITIVE_INFINITY);
    });
  };
}
