import type { SimulatedProcess } from '../engine/scheduler.ts';
import type { Committed } from './store.ts';

/** What a member tells the watches that it serves. */
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

  /** True when this member knows a leader. */
  get hasLeader(): boolean {
    return this.leader !== undefined;
  }

  /** This member notices that it has no leader. */
  losesLeader(): void {
    if (this.leader === undefined) return;
    this.leader = undefined;
    for (const listener of [...this.listeners]) listener.leaderLost();
  }
}

/** How etcd behaves, by its release. */
export interface EtcdBehaviour {
  readonly version: string;
  /** A thawed former leader may revoke leases that are alive. */
  readonly wrongRevocations: boolean;
  /** With authentication on, leases and the status of a member need a user too. */
  readonly guardsLeases: boolean;
}

/** etcd 3.4. */
export const etcd34: EtcdBehaviour = { version: '3.4.23', wrongRevocations: true, guardsLeases: false };
/** etcd 3.5. */
export const etcd35: EtcdBehaviour = { version: '3.5.30', wrongRevocations: true, guardsLeases: true };
