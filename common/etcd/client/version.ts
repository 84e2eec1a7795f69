import { clock } from '../../async/clock.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import { isDenied } from './errors.ts';
import type { Member } from './member.ts';
import { versionLimits } from './timing.ts';

/** The oldest release without a known fault by which watches or leases lose something (etcd's CHANGELOG-3.5). */
const recommended = [3, 5, 28] as const;

/** True when `version` is at least `minimum`; false when it is no version. */
export function atLeast(version: string | undefined, minimum: readonly [number, number, number]): boolean {
  const match = /^(\d+)\.(\d+)\.(\d+)/.exec(version ?? '');
  if (match === null) return false;
  for (const [index, least] of minimum.entries()) {
    const part = Number(match[index + 1]);
    if (part !== least) return part > least;
  }
  return true;
}

/** True for releases that can lose watch events without a sign: their keys are read more often. */
export function losesEvents(version: string | undefined): boolean {
  return version !== undefined && !atLeast(version, [3, 5, 0]);
}

/**
 * True for releases in which a former leader that was frozen or cut off may, once it is back, revoke leases that are kept
 * alive elsewhere. etcd's CHANGELOGs call it fixed in 3.4.31 and 3.5.13; it is rarer since, and was still seen on 3.5.30.
 */
export function revokesWrongly(version: string | undefined): boolean {
  if (version === undefined) return false;
  return atLeast(version, [3, 5, 0]) ? !atLeast(version, [3, 5, 13]) : !atLeast(version, [3, 4, 31]);
}

/** Learns each member's version once it has answered, in the background, and warns once about each that has known faults. */
export class VersionAdvice {
  readonly #log: Log;
  /** When each member was last asked, milliseconds of `clock.now()`. */
  readonly #askedAt = new Map<string, number>();
  readonly #warned = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** To be called when a member has answered. Returns at once. */
  consider(member: Member): void {
    if (member.version !== undefined) return;
    const now = clock.now();
    if (now - (this.#askedAt.get(member.url) ?? Number.NEGATIVE_INFINITY) < versionLimits.retryMs) return;
    this.#askedAt.set(member.url, now);
    this.#learn(member).catch((error: unknown) => {
      const reason = reasonOf(error);
      this.#log.debug('etcd version unknown', { member: member.url, reason });
      // Releases that tell their version to root only (3.5.30) have none of the faults that it is asked for.
      if (isDenied(reason)) this.#askedAt.set(member.url, Number.POSITIVE_INFINITY);
    });
  }

  async #learn(member: Member): Promise<void> {
    const { rpc } = await member.rpc(versionLimits.timeoutMs);
    const { version } = await rpc.maintenance.status({});
    member.version = version;
    if (this.#warned.has(version) || atLeast(version, recommended)) return;
    this.#warned.add(version);
    const why = atLeast(version, [3, 5, 0])
      ? 'releases before 3.5.28 have known faults in watches and leases'
      : 'etcd 3.4 is at its end of life and has known faults in watches and leases';
    this.#log.warn('etcd is old, please upgrade to 3.5.28 or later', { member: member.url, version, why });
  }
}
