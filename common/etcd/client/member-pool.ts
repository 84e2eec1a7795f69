import { clock } from '../../async/clock.ts';
import type { Log } from '../../daemon/log.ts';
import { TroubleLog } from '../../daemon/trouble-log.ts';
import type { Connection } from './connection.ts';
import { type EtcdError, isPermanent, isStaleToken } from './errors.ts';
import type { Member } from './member.ts';
import { VersionAdvice } from './version.ts';

const trouble = {
  begins: 'etcd call failed, trying other members',
  goesOn: 'etcd calls still fail',
  ends: 'etcd answers again',
};

/** Chooses which member is used, and learns from how calls go. */
export class MemberPool {
  readonly members: readonly Member[];
  readonly #log: Log;
  readonly #trouble: TroubleLog;
  readonly #advice: VersionAdvice;
  #preferred: number;
  #reason: string | null = null;

  /** Clients that share a list of members start at different ones; each stays where it is while that works. */
  constructor(members: readonly Member[], log: Log) {
    this.members = members;
    this.#log = log;
    this.#trouble = new TroubleLog(trouble, { log });
    this.#advice = new VersionAdvice(log);
    this.#preferred = Math.floor(clock.random() * members.length);
  }

  /** The member that is used now. */
  get preferred(): Member {
    return this.members[this.#preferred] as Member;
  }

  /** Why the last call failed; null when it worked. */
  get reason(): string | null {
    return this.#reason;
  }

  /** Members that work, beginning with the preferred one, `avoid` as the last of them; then the others, the soonest usable first. */
  inOrder(avoid?: string): readonly Member[] {
    const now = clock.now();
    const rank = (member: Member): number => {
      if (member.badUntil > now) return member.badUntil;
      return member.url === avoid ? 1 : 0;
    };
    const fromPreferred = [...this.members.slice(this.#preferred), ...this.members.slice(0, this.#preferred)];
    return fromPreferred.sort((a, b) => rank(a) - rank(b));
  }

  /** Says that a member answered: it is preferred from now on. */
  succeeded(member: Member): void {
    member.succeeded();
    this.#preferred = this.members.indexOf(member);
    this.#trouble.remove('calls');
    this.#reason = null;
    this.#advice.consider(member);
  }

  /** Says that a call to a member failed; with the connection and the token that it used, if it got that far. */
  failed(
    member: Member,
    error: EtcdError,
    { connection, token }: { readonly connection?: Connection | undefined; readonly token?: string | undefined },
  ): void {
    if (isStaleToken(error.details)) {
      member.dropToken(token);
      return;
    }
    const reason = error.message;
    this.#log.debug('etcd call failed', { reason });
    // The member works: its answer is final, and another one would say the same.
    if (isPermanent(error)) return;
    member.failed(error, connection);
    this.#trouble.add('calls', { reason });
    this.#reason = reason;
  }

  /** Ends all connections. */
  close(): void {
    for (const member of this.members) member.close();
  }
}
