import type { Network } from '../engine/network.ts';
import type { Scheduler } from '../engine/scheduler.ts';
import type { Member } from './member.ts';

const electionTimeoutMs = 1_000;
const watchLeaderEveryMs = 100;

/** What the cluster does when leadership moves. */
export interface LeadershipEvents {
  /** A member hears from its leader: it takes what it lacks. */
  follows(member: Member): void;
  /** Another member leads, or none does. */
  changed(former: Member | undefined): void;
}

/** Who leads a Raft group, and which members know it. */
export class Leadership {
  /** Raft's term: it grows with each change of the leader. */
  term = 2;
  readonly #scheduler: Scheduler;
  readonly #network: Network;
  readonly #members: readonly Member[];
  readonly #events: LeadershipEvents;
  #leader: Member | undefined;
  #electing = false;

  constructor(scheduler: Scheduler, network: Network, members: readonly Member[], events: LeadershipEvents) {
    this.#scheduler = scheduler;
    this.#network = network;
    this.#members = members;
    this.#events = events;
  }

  get leader(): Member | undefined {
    return this.#leader;
  }

  /** Makes the first member the leader, and looks after the leader from then on. */
  begin(): void {
    this.#become(this.#members[0]);
  }

  /** Looks after the leader for ever. */
  watch(): void {
    this.#scheduler.at(watchLeaderEveryMs, () => {
      this.#look();
      this.watch();
    });
  }

  /** After a restore: the group begins again without a leader. */
  reset(): void {
    this.term = 2;
    this.#leader = undefined;
  }

  /** The leader, when a member reaches it and it has a majority. */
  leaderFor(member: Member): Member | undefined {
    const leader = this.#leader;
    return leader !== undefined && this.reaches(member, leader) && this.hasQuorum(leader) ? leader : undefined;
  }

  works(member: Member): boolean {
    return member.running && !member.process.frozen;
  }

  /** True when the network carries messages in both directions. */
  reaches(a: Member, b: Member): boolean {
    return a === b || (!this.#network.isCut(a.host, b.host) && !this.#network.isCut(b.host, a.host));
  }

  hasQuorum(leader: Member): boolean {
    if (!this.works(leader)) return false;
    const following = this.#members.filter((member) => this.works(member) && this.reaches(leader, member));
    return following.length > this.#members.length / 2;
  }

  #look(): void {
    const leader = this.#leader;
    if (leader !== undefined && this.hasQuorum(leader)) {
      for (const member of this.#members) {
        if (!this.works(member)) continue;
        if (this.reaches(leader, member)) this.#events.follows(member);
        else member.losesLeader();
      }
      return;
    }
    if (this.#electing) return;
    this.#electing = true;
    this.#scheduler.at(electionTimeoutMs * (1 + this.#scheduler.random()), () => this.#elect());
  }

  #elect(): void {
    this.#electing = false;
    const still = this.#leader;
    if (still !== undefined && this.hasQuorum(still)) return;
    const able = this.#members.filter((member) => this.hasQuorum(member));
    const next = able[Math.floor(this.#scheduler.random() * able.length)];
    for (const member of this.#members) if (this.works(member)) member.losesLeader();
    if (next === undefined) this.#leader = undefined;
    else this.#become(next);
  }

  #become(leader: Member | undefined): void {
    const former = this.#leader;
    this.#leader = leader;
    this.term += 1;
    this.#events.changed(former);
    for (const member of this.#members) {
      if (leader !== undefined && this.works(member) && this.reaches(leader, member)) this.#events.follows(member);
    }
  }
}
