import type { Member } from '../../etcd/member.ts';
import type { World } from '../world.ts';

/** Knows for each host since when it has reached one and the same working member of etcd without interruption. */
export class Calm {
  readonly #world: World;
  /** `host member` → since when, in virtual milliseconds. */
  readonly #since = new Map<string, number>();
  #leader: Member | undefined;
  #leaderSince = 0;
  /** When etcd last refused writes because it was at its quota, or began to take them again. */
  #spaceSince = 0;
  #hadSpace = true;

  constructor(world: World) {
    this.#world = world;
  }

  /** Since when etcd takes writes; infinity while it does not. */
  get spaceSince(): number {
    return this.#hadSpace ? this.#spaceSince : Number.POSITIVE_INFINITY;
  }

  /** Since when there has been one leader that works; infinity while there is none. */
  get leaderSince(): number {
    return this.#leader === undefined ? Number.POSITIVE_INFINITY : this.#leaderSince;
  }

  /** Since when a host has reached etcd; infinity while it does not. */
  etcdSince(host: string): number {
    const all = this.#world.etcd.members.map((member) => this.#since.get(`${host} ${member.host}`));
    return Math.min(...all.map((since) => since ?? Number.POSITIVE_INFINITY));
  }

  /** Since when a host has reached every member of etcd; infinity while it does not. */
  allMembersSince(host: string): number {
    const all = this.#world.etcd.members.map((member) => this.#since.get(`${host} ${member.host}`));
    return Math.max(...all.map((since) => since ?? Number.POSITIVE_INFINITY));
  }

  /** To be called often. */
  look(): void {
    const { etcd, network, hosts, scheduler } = this.#world;
    const now = scheduler.now();
    if (etcd.outOfSpace === this.#hadSpace) {
      this.#hadSpace = !etcd.outOfSpace;
      this.#spaceSince = now;
    }
    const leader = etcd.leader !== undefined && etcd.serves(etcd.leader) ? etcd.leader : undefined;
    if (leader !== this.#leader) {
      this.#leader = leader;
      this.#leaderSince = now;
    }
    for (const member of etcd.members) {
      const serves = etcd.serves(member);
      for (const host of hosts) {
        const path = `${host} ${member.host}`;
        if (!serves || !network.isGood(host, member.host)) this.#since.delete(path);
        else if (!this.#since.has(path)) this.#since.set(path, now);
      }
    }
  }
}
