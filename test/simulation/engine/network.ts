import type { Scheduler, SimulatedProcess } from './scheduler.ts';

/** A direction that takes this many milliseconds more counts as slow. */
const slowMs = 200;

/** A host of the simulation, by name. */
export type HostName = string;

/** One direction between two hosts. */
interface Path {
  cut: boolean;
  /** Added to each delivery, milliseconds. */
  delayMs: number;
  /** What waits for the path to heal, in order. */
  readonly waiting: (() => void)[];
}

/** One end of a connection. What is sent arrives in order, or never. */
export interface Link {
  /** Delivers a message to the other end some time later. `waitedMs`: how long the process there left it unread. */
  send(deliver: (waitedMs: number) => void): void;
  /** Ends the connection; the other end hears of it, unless the network does not let it. */
  close(): void;
  /** True when this end knows that the connection is over. */
  readonly closed: boolean;
}

/** What an end of a connection belongs to. */
export interface LinkEnd {
  readonly host: HostName;
  readonly process: SimulatedProcess;
  /** Called once when the other end is gone: closed, or its process ended. */
  readonly onClosed: () => void;
}

/**
 * A network like TCP over wires that can be cut in one direction: what is sent meanwhile waits and arrives after the heal,
 * late and in order; what is lost is the time. A process that ends resets its connections.
 */
export class Network {
  readonly #scheduler: Scheduler;
  /** From → to → path. */
  readonly #paths = new Map<HostName, Map<HostName, Path>>();
  readonly #links = new Set<LinkPair>();
  /** How many connections there have been. */
  opened = 0;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** Stops everything from `from` to `to`, until {@link Network.heal}. */
  cut(from: HostName, to: HostName): void {
    this.#path(from, to).cut = true;
  }

  heal(from: HostName, to: HostName): void {
    const path = this.#path(from, to);
    if (!path.cut) return;
    path.cut = false;
    // TCP sends again after a pause that has grown meanwhile.
    const again = 200 + this.#scheduler.random() * 1_000;
    for (const deliver of path.waiting.splice(0)) this.#scheduler.at(again, deliver);
  }

  /** Heals every path and takes every delay away. */
  healAll(): void {
    for (const [from, paths] of this.#paths) {
      for (const [to, path] of paths) {
        path.delayMs = 0;
        this.heal(from, to);
      }
    }
  }

  isCut(from: HostName, to: HostName): boolean {
    return from !== to && this.#path(from, to).cut;
  }

  /** True when both directions between two hosts work and are not slow. */
  isGood(one: HostName, other: HostName): boolean {
    const [there, back] = [this.#path(one, other), this.#path(other, one)];
    return !there.cut && !back.cut && there.delayMs < slowMs && back.delayMs < slowMs;
  }

  /** Slows one direction down. */
  delay(from: HostName, to: HostName, delayMs: number): void {
    this.#path(from, to).delayMs = delayMs;
  }

  /** Connects two processes. Both are told when it ends. */
  connect(a: LinkEnd, b: LinkEnd): { readonly a: Link; readonly b: Link } {
    const pair = new LinkPair(this.#scheduler, this, a, b, () => this.#links.delete(pair));
    this.#links.add(pair);
    this.opened += 1;
    return pair;
  }

  /** The process ended: its connections are reset by its host's kernel. */
  ended(process: SimulatedProcess): void {
    for (const pair of [...this.#links]) pair.processEnded(process);
  }

  /** Ends every connection, as a firewall that forgets its table does. */
  resetAll(): void {
    for (const pair of [...this.#links]) pair.reset();
  }

  /** Connections that are open. */
  get size(): number {
    return this.#links.size;
  }

  /** Carries one message; it arrives when the path lets it. */
  carry(from: HostName, to: HostName, deliver: () => void): void {
    const path = this.#path(from, to);
    const base = from === to ? 0.05 : 0.3;
    const arrive = (): void => {
      if (from !== to && path.cut) path.waiting.push(deliver);
      else deliver();
    };
    this.#scheduler.at(base + this.#scheduler.random() * base + path.delayMs, arrive);
  }

  #path(from: HostName, to: HostName): Path {
    let paths = this.#paths.get(from);
    if (paths === undefined) {
      paths = new Map();
      this.#paths.set(from, paths);
    }
    let path = paths.get(to);
    if (path === undefined) {
      path = { cut: false, delayMs: 0, waiting: [] };
      paths.set(to, path);
    }
    return path;
  }
}

class LinkPair {
  readonly a: Link;
  readonly b: Link;
  readonly #ends: readonly [Side, Side];
  readonly #forget: () => void;

  constructor(scheduler: Scheduler, network: Network, a: LinkEnd, b: LinkEnd, forget: () => void) {
    const left = new Side(scheduler, network, a, b.host);
    const right = new Side(scheduler, network, b, a.host);
    left.peer = right;
    right.peer = left;
    this.#ends = [left, right];
    this.#forget = forget;
    for (const side of this.#ends) side.onOver = () => this.#overWhenBoth();
    this.a = left;
    this.b = right;
  }

  processEnded(process: SimulatedProcess): void {
    for (const side of this.#ends) if (side.end.process === process) side.close();
  }

  reset(): void {
    for (const side of this.#ends) side.closedByOther();
  }

  #overWhenBoth(): void {
    if (this.#ends.every(({ closed }) => closed)) this.#forget();
  }
}

class Side implements Link {
  readonly end: LinkEnd;
  closed = false;
  peer: Side | undefined;
  onOver: () => void = () => {};
  readonly #scheduler: Scheduler;
  readonly #network: Network;
  readonly #to: HostName;
  /** What is on its way, in the order in which it was sent; nothing overtakes. */
  readonly #underWay: { arrived: boolean; readonly deliver: () => void }[] = [];

  constructor(scheduler: Scheduler, network: Network, end: LinkEnd, to: HostName) {
    this.#scheduler = scheduler;
    this.#network = network;
    this.end = end;
    this.#to = to;
  }

  send(deliver: (waitedMs: number) => void): void {
    if (this.closed) return;
    this.#carry(() => {
      const { peer } = this;
      if (peer === undefined || peer.closed) return;
      const arrivedAt = this.#scheduler.now();
      const read = (): void => {
        if (!peer.closed) deliver(this.#scheduler.now() - arrivedAt);
      };
      this.#scheduler.at(0, read, peer.end.process);
    });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#carry(() => this.peer?.closedByOther());
    this.onOver();
  }

  /** What arrived before the end of the connection is read first, however late. */
  closedByOther(): void {
    const end = (): void => {
      if (this.closed) return;
      this.closed = true;
      this.onOver();
      this.end.onClosed();
    };
    this.#scheduler.at(0, end, this.end.process);
  }

  #carry(deliver: () => void): void {
    const message = { arrived: false, deliver };
    this.#underWay.push(message);
    this.#network.carry(this.end.host, this.#to, () => {
      message.arrived = true;
      while (this.#underWay[0]?.arrived) this.#underWay.shift()?.deliver();
    });
  }
}
