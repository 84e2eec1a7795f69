import type { Network } from '../engine/network.ts';
import type { Scheduler, SimulatedProcess } from '../engine/scheduler.ts';
import { failures, RpcFailure } from './failures.ts';
import { Leadership } from './leadership.ts';
import { type LeaseEnd, Leases } from './leases.ts';
import { type EtcdBehaviour, Member } from './member.ts';
import { type Committed, type Range, Store } from './store.ts';
import { Users } from './users.ts';

/** How long a proposal waits for the leader (etcd: 5 s + 2 election timeouts). */
const requestTimeoutMs = 7_000;
const expiryCheckMs = 500;

/** What is to be done when the leader commits it, and for which client. */
export interface Proposal<T> {
  readonly run: () => T;
  readonly by?: SimulatedProcess | undefined;
}

/** A Raft group on simulated hosts: one log, members that apply it each in their time. */
export class SimulatedEtcd {
  readonly members: readonly Member[];
  readonly behaviour: EtcdBehaviour;
  store = new Store();
  readonly clusterId = '14841639068965178418';
  /** At its quota: nothing can be put or granted. */
  outOfSpace = false;
  readonly users = new Users();
  /** Revision, and what happened at it, for the history of a run; `by`: the client that asked for it. */
  onCommit: (committed: Committed, by: SimulatedProcess | undefined) => void = () => {};
  onLeaseEnd: (lease: string, how: LeaseEnd, keys: readonly string[]) => void = () => {};
  readonly #scheduler: Scheduler;
  readonly #network: Network;
  readonly #leases: Leases;
  readonly #raft: Leadership;

  constructor(
    scheduler: Scheduler,
    network: Network,
    options: { readonly hosts: readonly string[]; readonly behaviour: EtcdBehaviour },
  ) {
    this.#scheduler = scheduler;
    this.#network = network;
    this.behaviour = options.behaviour;
    this.members = options.hosts.map((host) => new Member(host, scheduler.process(`etcd on ${host}`)));
    this.#leases = new Leases(() => scheduler.now());
    this.#raft = new Leadership(scheduler, network, this.members, {
      follows: (member) => this.#catchUp(member),
      changed: (former) => this.#leases.leaderChanged(former),
    });
    this.#raft.begin();
    this.#expireLeases();
    this.#raft.watch();
  }

  get urls(): readonly string[] {
    return this.members.map(({ url }) => url);
  }

  get leader(): Member | undefined {
    return this.#raft.leader;
  }

  /** The header of an answer of this member. */
  header(member: Member) {
    return {
      cluster_id: this.clusterId,
      member_id: String(this.members.indexOf(member) + 1),
      revision: String(member.appliedRevision),
      raft_term: String(this.#raft.term),
    };
  }

  /** True when a member answers reads and writes now. */
  serves(member: Member): boolean {
    return this.#raft.works(member) && member.hasLeader && this.#raft.leaderFor(member) !== undefined;
  }

  /** Leases that are alive, for the properties. */
  get leases(): Leases['all'] {
    return this.#leases.all;
  }

  // Faults.

  kill(member: Member): void {
    if (!member.running) return;
    member.running = false;
    member.process.kill();
    this.#network.ended(member.process);
    for (const listener of [...member.listeners]) listener.ended();
    member.listeners.clear();
  }

  start(member: Member): void {
    if (member.running) return;
    member.running = true;
    member.process = this.#scheduler.process(`etcd on ${member.host}`);
    member.leader = undefined;
    member.appliedRevision = 1;
    this.#scheduler.at(300, () => this.#catchUp(member), member.process);
  }

  freeze(member: Member): void {
    if (member.running) member.process.freeze();
  }

  thaw(member: Member): void {
    if (!member.process.frozen) return;
    const wasLeader = this.leader !== member && member.leader === member;
    member.process.thaw();
    this.#scheduler.at(5, () => this.#catchUp(member), member.process);
    if (wasLeader && this.behaviour.wrongRevocations && this.#scheduler.random() < 0.5) {
      this.#scheduler.at(20, () => this.#revokeByMistake(member), member.process);
    }
  }

  /** Replaces all members' data by an older snapshot, as an operator's restore does: the same cluster id, fewer revisions. */
  restore(snapshot: Store): void {
    for (const member of this.members) this.kill(member);
    this.store = snapshot.snapshot();
    // Leases live in the snapshot too; each has its whole time again.
    const known = new Set(this.store.range({ key: '', end: '\0' }).map(({ lease }) => lease));
    this.#leases.keepOnly(known);
    for (const member of this.members) this.start(member);
    this.#raft.reset();
  }

  // Requests. Each runs when the leader commits it, and calls back at the member that it came to.

  /**
   * Reads or writes through the leader.
   * @throws {RpcFailure} by `reject`
   */
  propose<T>(
    member: Member,
    proposal: Proposal<T>,
    resolve: (result: T) => void,
    reject: (error: RpcFailure) => void,
  ): void {
    if (!member.hasLeader) {
      reject(failures.noLeader());
      return;
    }
    const deadline = this.#scheduler.now() + requestTimeoutMs;
    const attempt = (): void => {
      const leader = this.#raft.leaderFor(member);
      if (leader === undefined) {
        if (this.#scheduler.now() > deadline) reject(failures.timedOut());
        else this.#scheduler.at(50, attempt, member.process);
        return;
      }
      // To the leader and a majority, and back.
      this.#scheduler.at(0.5 + this.#scheduler.random(), () => {
        if (this.leader !== leader || !this.#raft.hasQuorum(leader)) {
          this.#scheduler.at(50, attempt, member.process);
          return;
        }
        try {
          const result = this.#commit(proposal);
          this.#apply(member, this.store.revision);
          this.#scheduler.at(0, () => resolve(result), member.process);
        } catch (error) {
          if (!(error instanceof RpcFailure)) throw error;
          this.#apply(member, this.store.revision);
          this.#scheduler.at(0, () => reject(error), member.process);
        }
      });
    };
    attempt();
  }

  put(key: string, value: Buffer, lease: string): void {
    if (this.outOfSpace) throw failures.noSpace();
    if (lease !== '0' && !this.#leases.has(lease)) throw failures.leaseNotFound();
    const old = this.store.get(key);
    if (old !== undefined) this.#leases.detach(old.lease, key);
    this.store.put(key, value, lease);
    this.#leases.attach(lease, key);
  }

  delete(range: Range): number {
    for (const { key, lease } of this.store.range(range)) this.#leases.detach(lease, key);
    return this.store.delete(range);
  }

  grant(id: string, ttlSeconds: number): void {
    if (this.outOfSpace) throw failures.noSpace();
    this.#leases.grant(id, ttlSeconds);
  }

  revoke(id: string, how: LeaseEnd = 'revoked'): void {
    const keys = this.#leases.remove(id);
    for (const key of keys) this.store.delete({ key, end: '' });
    this.onLeaseEnd(id, how, keys);
  }

  /** Renews a lease at the leader: `resolve` gets its TTL in seconds, 0 when there is no such lease. */
  keepAlive(member: Member, id: string, resolve: (ttl: number) => void, reject: (error: RpcFailure) => void): void {
    const { leader } = this;
    if (leader === undefined || !this.#raft.reaches(member, leader) || !this.#raft.works(leader)) {
      this.#scheduler.at(2_000, () => reject(failures.noLeader()), member.process);
      return;
    }
    this.#scheduler.at(0.3 + this.#scheduler.random() * 0.3, () => {
      // Another leader meanwhile: this one says yes, and renews nothing.
      resolve(this.leader === leader ? this.#leases.renew(id) : this.#leases.timeToLive(id).granted);
    });
  }

  timeToLive(id: string): ReturnType<Leases['timeToLive']> {
    return this.#leases.timeToLive(id);
  }

  compact(revision: number): void {
    if (revision <= this.store.compacted) throw failures.compacted();
    if (revision > this.store.revision) throw failures.futureRevision();
    this.store.compact(revision);
  }

  #commit<T>({ run, by }: Proposal<T>): T {
    const { result, committed } = this.store.transact(run);
    if (committed !== undefined) {
      this.onCommit(committed, by);
      for (const member of this.members) {
        if (!member.running || member === this.leader) continue;
        this.#scheduler.at(0.3 + this.#scheduler.random() * 2, () => this.#catchUp(member), member.process);
      }
      if (this.leader !== undefined) this.#apply(this.leader, committed.revision);
    }
    return result;
  }

  /** Takes what this member lacks from the leader. */
  #catchUp(member: Member): void {
    const { leader } = this;
    if (leader === undefined || !member.running || !this.#raft.reaches(leader, member)) return;
    member.leader = leader;
    this.#apply(member, this.store.revision);
  }

  #apply(member: Member, revision: number): void {
    if (member.appliedRevision >= revision) return;
    const from = member.appliedRevision + 1;
    member.appliedRevision = revision;
    const news = this.store.logFrom(from);
    for (const committed of news) {
      if (committed.revision > revision) break;
      for (const listener of [...member.listeners]) listener.applied(committed);
    }
  }

  /** Looks for expired leases again and again. */
  #expireLeases(): void {
    this.#scheduler.at(expiryCheckMs, () => {
      const { leader } = this;
      if (leader !== undefined && this.#raft.hasQuorum(leader)) {
        for (const id of this.#leases.expired()) this.#commit({ run: () => this.revoke(id, 'expired') });
      }
      this.#expireLeases();
    });
  }

  /** A former leader acts on what it last knew. */
  #revokeByMistake(member: Member): void {
    for (const id of this.#leases.expiredFor(member))
      this.#commit({ run: () => this.revoke(id, 'revoked by mistake') });
  }
}
