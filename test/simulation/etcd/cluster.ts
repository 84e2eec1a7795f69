import { status } from '@grpc/grpc-js';
import type { Network } from '../engine/network.ts';
import type { Scheduler, SimulatedProcess } from '../engine/scheduler.ts';
import { type Committed, inRange, type Range, Store } from './store.ts';

/** An error as etcd's gRPC server sends it. */
export class RpcFailure extends Error {
  readonly code: status;
  readonly details: string;

  constructor(code: status, details: string) {
    super(details);
    this.code = code;
    this.details = details;
  }
}

export const failures = {
  noLeader: () => new RpcFailure(status.UNAVAILABLE, 'etcdserver: no leader'),
  timedOut: () => new RpcFailure(status.UNAVAILABLE, 'etcdserver: request timed out'),
  leaseNotFound: () => new RpcFailure(status.NOT_FOUND, 'etcdserver: requested lease not found'),
  leaseExists: () => new RpcFailure(status.FAILED_PRECONDITION, 'etcdserver: lease already exists'),
  compacted: () => new RpcFailure(status.OUT_OF_RANGE, 'etcdserver: mvcc: required revision has been compacted'),
  futureRevision: () => new RpcFailure(status.OUT_OF_RANGE, 'etcdserver: mvcc: required revision is a future revision'),
  noSpace: () => new RpcFailure(status.RESOURCE_EXHAUSTED, 'etcdserver: mvcc: database space exceeded'),
  denied: () => new RpcFailure(status.PERMISSION_DENIED, 'etcdserver: permission denied'),
  emptyUser: () => new RpcFailure(status.INVALID_ARGUMENT, 'etcdserver: user name is empty'),
  authOff: () => new RpcFailure(status.FAILED_PRECONDITION, 'etcdserver: authentication is not enabled'),
  badPassword: () =>
    new RpcFailure(status.INVALID_ARGUMENT, 'etcdserver: authentication failed, invalid user ID or password'),
  badToken: () => new RpcFailure(status.UNAUTHENTICATED, 'etcdserver: invalid auth token'),
} as const;

interface Lease {
  readonly id: string;
  readonly ttlSeconds: number;
  readonly keys: Set<string>;
  /** By the present leader's clock. */
  expiresAt: number;
  /** What a former leader remembers: when it would have expired without the renewals it did not see. */
  readonly staleExpiry: Map<Member, number>;
}

/** What watches a member serves are told. */
export interface MemberListener {
  /** A transaction was applied at this member. */
  applied(committed: Committed): void;
  /** The member knows no leader any more. */
  leaderLost(): void;
  /** The member's data was replaced: its process ended and began again. */
  ended(): void;
}

/** One etcd process. */
export class Member {
  readonly host: string;
  readonly url: string;
  process: SimulatedProcess;
  running = true;
  /** How far this member has applied. */
  appliedRevision = 1;
  /** The leader as this member knows it. */
  leader: Member | undefined;
  readonly listeners = new Set<MemberListener>();

  constructor(host: string, process: SimulatedProcess) {
    this.host = host;
    this.url = `http://${host}:2379`;
    this.process = process;
  }
}

/** How etcd behaves, by its release. */
export interface EtcdBehaviour {
  readonly version: string;
  /** A thawed former leader may revoke leases that are alive. */
  readonly wrongRevocations: boolean;
}

export const etcd34: EtcdBehaviour = { version: '3.4.23', wrongRevocations: true };
export const etcd35: EtcdBehaviour = { version: '3.5.30', wrongRevocations: true };

const electionTimeoutMs = 1_000;
/** How long a proposal waits for the leader (etcd: 5 s + 2 election timeouts). */
const requestTimeoutMs = 7_000;
const expiryCheckMs = 500;

/** A Raft group on simulated hosts: one log, members that apply it each in their time. */
export class SimulatedEtcd {
  readonly members: readonly Member[];
  readonly behaviour: EtcdBehaviour;
  store = new Store();
  clusterId = '14841639068965178418';
  raftTerm = 2;
  outOfSpace = false;
  /** User name to password; undefined while authentication is off. */
  users: ReadonlyMap<string, string> | undefined;
  readonly tokens = new Map<string, string>();
  /** Revision, and what happened at it, for the history of a run. */
  onCommit: (committed: Committed) => void = () => {};
  onLeaseEnd: (lease: string, how: 'expired' | 'revoked' | 'revoked by mistake', keys: readonly string[]) => void =
    () => {};
  readonly #scheduler: Scheduler;
  readonly #network: Network;
  readonly #leases = new Map<string, Lease>();
  #leader: Member | undefined;
  #electing = false;

  constructor(
    scheduler: Scheduler,
    network: Network,
    options: { readonly hosts: readonly string[]; readonly behaviour: EtcdBehaviour },
  ) {
    this.#scheduler = scheduler;
    this.#network = network;
    this.behaviour = options.behaviour;
    this.members = options.hosts.map((host) => new Member(host, scheduler.process(`etcd on ${host}`)));
    this.#become(this.members[0]);
    this.#every(expiryCheckMs, () => this.#expireLeases());
    this.#every(100, () => this.#watchLeader());
  }

  get urls(): readonly string[] {
    return this.members.map(({ url }) => url);
  }

  get leader(): Member | undefined {
    return this.#leader;
  }

  /** The header of an answer of this member. */
  header(member: Member) {
    return {
      cluster_id: this.clusterId,
      member_id: String(this.members.indexOf(member) + 1),
      revision: String(member.appliedRevision),
      raft_term: String(this.raftTerm),
    };
  }

  /** Leases that are alive, for the properties. */
  get leases(): ReadonlyMap<string, { readonly keys: ReadonlySet<string>; readonly ttlSeconds: number }> {
    return this.#leases;
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
    const wasLeader = this.#leader !== member && member.leader === member;
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
    this.raftTerm = 2;
    // Leases live in the snapshot too; each has its whole time again.
    const known = new Set(this.store.range({ key: '', end: '\0' }).map(({ lease }) => lease));
    for (const id of [...this.#leases.keys()]) if (!known.has(id)) this.#leases.delete(id);
    for (const member of this.members) this.start(member);
    this.#leader = undefined;
  }

  // What a member does for a request. Each runs at the leader's commit, and calls back at the member.

  /**
   * Reads or writes through the leader.
   * @throws {RpcFailure} by `reject`
   */
  propose<T>(member: Member, run: () => T, resolve: (result: T) => void, reject: (error: RpcFailure) => void): void {
    if (this.outOfReach(member)) {
      reject(failures.noLeader());
      return;
    }
    const deadline = this.#scheduler.now() + requestTimeoutMs;
    const attempt = (): void => {
      const leader = this.#leader;
      if (leader === undefined || !this.#reaches(member, leader) || !this.#hasQuorum(leader)) {
        if (this.#scheduler.now() > deadline) reject(failures.timedOut());
        else this.#scheduler.at(50, attempt, member.process);
        return;
      }
      // To the leader and a majority, and back.
      this.#scheduler.at(0.5 + this.#scheduler.random(), () => {
        if (this.#leader !== leader || !this.#hasQuorum(leader)) {
          this.#scheduler.at(50, attempt, member.process);
          return;
        }
        try {
          const result = this.#commit(run);
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

  /** True when this member knows that it has no leader. */
  outOfReach(member: Member): boolean {
    return member.leader === undefined;
  }

  put(key: string, value: Buffer, lease: string): void {
    if (this.outOfSpace) throw failures.noSpace();
    if (lease !== '0' && !this.#leases.has(lease)) throw failures.leaseNotFound();
    const old = this.store.get(key);
    if (old !== undefined) this.#leases.get(old.lease)?.keys.delete(key);
    this.store.put(key, value, lease);
    this.#leases.get(lease)?.keys.add(key);
  }

  delete(range: Range): number {
    for (const { key, lease } of this.store.range(range)) this.#leases.get(lease)?.keys.delete(key);
    return this.store.delete(range);
  }

  grant(id: string, ttlSeconds: number): void {
    if (this.outOfSpace) throw failures.noSpace();
    if (this.#leases.has(id)) throw failures.leaseExists();
    const expiresAt = this.#scheduler.now() + ttlSeconds * 1_000;
    this.#leases.set(id, { id, ttlSeconds, keys: new Set(), expiresAt, staleExpiry: new Map() });
  }

  revoke(id: string, how: 'expired' | 'revoked' | 'revoked by mistake' = 'revoked'): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) throw failures.leaseNotFound();
    const keys = [...lease.keys].sort();
    this.#leases.delete(id);
    for (const key of keys) this.store.delete({ key, end: '' });
    this.onLeaseEnd(id, how, keys);
  }

  /** Renews at the leader. @returns the seconds it has from now; 0 when there is no such lease */
  keepAlive(member: Member, id: string, resolve: (ttl: number) => void, reject: (error: RpcFailure) => void): void {
    const leader = this.#leader;
    if (leader === undefined || !this.#reaches(member, leader) || !this.#works(leader)) {
      this.#scheduler.at(2_000, () => reject(failures.noLeader()), member.process);
      return;
    }
    this.#scheduler.at(0.3 + this.#scheduler.random() * 0.3, () => {
      const lease = this.#leases.get(id);
      if (lease !== undefined && this.#leader === leader)
        lease.expiresAt = this.#scheduler.now() + lease.ttlSeconds * 1_000;
      resolve(lease?.ttlSeconds ?? 0);
    });
  }

  timeToLive(id: string): { readonly ttl: number; readonly granted: number; readonly keys: readonly string[] } {
    const lease = this.#leases.get(id);
    if (lease === undefined) return { ttl: -1, granted: 0, keys: [] };
    const ttl = Math.max(0, Math.floor((lease.expiresAt - this.#scheduler.now()) / 1_000));
    return { ttl, granted: lease.ttlSeconds, keys: [...lease.keys].sort() };
  }

  compact(revision: number): void {
    if (revision <= this.store.compacted) throw failures.compacted();
    if (revision > this.store.revision) throw failures.futureRevision();
    this.store.compact(revision);
  }

  #commit<T>(run: () => T): T {
    const { result, committed } = this.store.transact(run);
    if (committed !== undefined) {
      this.onCommit(committed);
      for (const member of this.members) {
        if (!member.running || member === this.#leader) continue;
        this.#scheduler.at(0.3 + this.#scheduler.random() * 2, () => this.#catchUp(member), member.process);
      }
      if (this.#leader !== undefined) this.#apply(this.#leader, committed.revision);
    }
    return result;
  }

  /** Takes what this member lacks from the leader. */
  #catchUp(member: Member): void {
    const leader = this.#leader;
    if (leader === undefined || !member.running || !this.#reaches(leader, member)) return;
    member.leader = leader;
    this.#apply(member, this.store.revision);
  }

  #apply(member: Member, revision: number): void {
    if (member.appliedRevision >= revision) return;
    const from = member.appliedRevision + 1;
    member.appliedRevision = revision;
    const news = this.store.since(Math.max(from, this.store.compacted + 1)) ?? [];
    for (const committed of news) {
      if (committed.revision > revision) break;
      for (const listener of [...member.listeners]) listener.applied(committed);
    }
  }

  #works(member: Member): boolean {
    return member.running && !member.process.frozen;
  }

  #reaches(a: Member, b: Member): boolean {
    return a === b || (!this.#network.isCut(a.host, b.host) && !this.#network.isCut(b.host, a.host));
  }

  #hasQuorum(leader: Member): boolean {
    if (!this.#works(leader)) return false;
    const following = this.members.filter((member) => this.#works(member) && this.#reaches(leader, member));
    return following.length > this.members.length / 2;
  }

  #watchLeader(): void {
    const leader = this.#leader;
    if (leader !== undefined && this.#hasQuorum(leader)) {
      for (const member of this.members) {
        if (!this.#works(member)) continue;
        if (this.#reaches(leader, member)) this.#catchUp(member);
        else this.#loses(member);
      }
      return;
    }
    if (this.#electing) return;
    this.#electing = true;
    this.#scheduler.at(electionTimeoutMs * (1 + this.#scheduler.random()), () => {
      this.#electing = false;
      const still = this.#leader;
      if (still !== undefined && this.#hasQuorum(still)) return;
      const able = this.members.filter((member) => this.#hasQuorum(member));
      const next = able[Math.floor(this.#scheduler.random() * able.length)];
      for (const member of this.members) if (this.#works(member)) this.#loses(member);
      if (next === undefined) this.#leader = undefined;
      else this.#become(next);
    });
  }

  #become(leader: Member | undefined): void {
    const former = this.#leader;
    this.#leader = leader;
    this.raftTerm += 1;
    for (const lease of this.#leases.values()) {
      if (former !== undefined) lease.staleExpiry.set(former, lease.expiresAt);
      // A new leader gives every lease its whole time again.
      lease.expiresAt = this.#scheduler.now() + lease.ttlSeconds * 1_000;
    }
    for (const member of this.members) {
      if (leader !== undefined && this.#works(member) && this.#reaches(leader, member)) this.#catchUp(member);
    }
  }

  #loses(member: Member): void {
    if (member.leader === undefined) return;
    member.leader = undefined;
    for (const listener of [...member.listeners]) listener.leaderLost();
  }

  #expireLeases(): void {
    const leader = this.#leader;
    if (leader === undefined || !this.#hasQuorum(leader)) return;
    for (const { id, expiresAt } of [...this.#leases.values()]) {
      if (expiresAt <= this.#scheduler.now()) this.#commit(() => this.revoke(id, 'expired'));
    }
  }

  /** The former leader acts on what it last knew. */
  #revokeByMistake(member: Member): void {
    for (const lease of [...this.#leases.values()]) {
      const expiry = lease.staleExpiry.get(member);
      if (expiry === undefined || expiry > this.#scheduler.now() || !this.#leases.has(lease.id)) continue;
      this.#commit(() => this.revoke(lease.id, 'revoked by mistake'));
    }
  }

  #every(intervalMs: number, run: () => void): void {
    const again = (): void => {
      run();
      this.#scheduler.at(intervalMs, again);
    };
    this.#scheduler.at(intervalMs, again);
  }
}

/** True when a committed transaction has something in a range. */
export function touches(committed: Committed, range: Range): boolean {
  return committed.events.some(({ key }) => inRange(key, range));
}
