import { status } from '@grpc/grpc-js';
import type { IWatchCreateRequest, IWatchRequest } from 'etcd3/lib/rpc.js';
import type { Scheduler } from '../engine/scheduler.ts';
import type { SimulatedEtcd } from './cluster.ts';
import { failures, type RpcFailure } from './failures.ts';
import type { Member, MemberListener } from './member.ts';
import { type Committed, inRange, type Range, touches } from './store.ts';
import { rangeOf, toWire } from './wire.ts';

/** The server's end of a stream. */
export interface ServerStream {
  send(response: unknown): void;
  fail(error: RpcFailure): void;
  readonly closed: boolean;
}

/** gRPC's names of codes, as its Go library prints them. */
const codeNames: Readonly<Partial<Record<status, string>>> = {
  [status.INVALID_ARGUMENT]: 'InvalidArgument',
  [status.PERMISSION_DENIED]: 'PermissionDenied',
  [status.UNAUTHENTICATED]: 'Unauthenticated',
};

interface Watcher {
  readonly id: string;
  readonly range: Range;
  /** The next revision it wants. */
  next: number;
  /** It has been told what was there before it. */
  inStep: boolean;
}

/** How often etcd takes watchers that begin in the past up to the present. */
const catchUpEveryMs = 100;

/** One watch stream of one client, with its watchers. */
export class WatchSession implements MemberListener {
  readonly #etcd: SimulatedEtcd;
  readonly #member: Member;
  readonly #scheduler: Scheduler;
  readonly #stream: ServerStream;
  readonly #refusal: (range: Range) => RpcFailure | undefined;
  readonly #watchers = new Map<string, Watcher>();
  #ids = 0;

  constructor(
    etcd: SimulatedEtcd,
    member: Member,
    scheduler: Scheduler,
    stream: ServerStream,
    refusal: (range: Range) => RpcFailure | undefined,
  ) {
    this.#etcd = etcd;
    this.#member = member;
    this.#scheduler = scheduler;
    this.#stream = stream;
    this.#refusal = refusal;
    member.listeners.add(this);
    if (!member.hasLeader) this.leaderLost();
  }

  request({ create_request: create, cancel_request: cancel, progress_request: progress }: IWatchRequest): void {
    if (create != null) this.#create(create as IWatchCreateRequest);
    else if (cancel != null) this.#cancel(String(cancel.watch_id));
    else if (progress != null) this.#progress();
  }

  applied(committed: Committed): void {
    for (const watcher of this.#watchers.values()) {
      if (!watcher.inStep || committed.revision < watcher.next) continue;
      watcher.next = committed.revision + 1;
      if (!touches(committed, watcher.range)) continue;
      this.#send({ watch_id: watcher.id, events: eventsFor(watcher, [committed]) });
    }
  }

  leaderLost(): void {
    // The stream asked for `hasleader`.
    this.#scheduler.at(
      this.#scheduler.random() * 1_000,
      () => {
        if (this.#member.hasLeader) return;
        this.end();
        this.#stream.fail(failures.noLeader());
      },
      this.#member.process,
    );
  }

  ended(): void {
    this.#watchers.clear();
  }

  end(): void {
    this.#member.listeners.delete(this);
    this.#watchers.clear();
  }

  #create(create: IWatchCreateRequest): void {
    const range = rangeOf(create as { key: Buffer; range_end?: Buffer });
    const refused = this.#refusal(range);
    if (refused !== undefined) {
      const cancel_reason = `rpc error: code = ${codeNames[refused.code]} desc = ${refused.details}`;
      this.#send({ watch_id: '-1', created: true, canceled: true, cancel_reason });
      return;
    }
    const id = String(this.#ids++);
    const from = Number(create.start_revision ?? 0);
    const watcher: Watcher = {
      id,
      range,
      next: from === 0 ? this.#member.appliedRevision + 1 : from,
      inStep: false,
    };
    this.#send({ watch_id: id, created: true });
    if (watcher.next <= this.#etcd.store.compacted) {
      this.#send({ watch_id: id, canceled: true, compact_revision: String(this.#etcd.store.compacted) });
      return;
    }
    this.#watchers.set(id, watcher);
    watcher.inStep = watcher.next > this.#member.appliedRevision;
    if (watcher.inStep) return;
    const delayMs = this.#scheduler.random() * catchUpEveryMs;
    this.#scheduler.at(delayMs, () => this.#catchUp(watcher), this.#member.process);
  }

  #catchUp(watcher: Watcher): void {
    if (this.#watchers.get(watcher.id) !== watcher) return;
    const { appliedRevision } = this.#member;
    const past = this.#etcd.store.since(watcher.next);
    if (past === undefined) {
      this.#watchers.delete(watcher.id);
      this.#send({ watch_id: watcher.id, canceled: true, compact_revision: String(this.#etcd.store.compacted) });
      return;
    }
    const events = eventsFor(
      watcher,
      past.filter(({ revision }) => revision <= appliedRevision),
    );
    watcher.next = appliedRevision + 1;
    watcher.inStep = true;
    if (events.length > 0) this.#send({ watch_id: watcher.id, events });
  }

  /** Answers when every watcher of the stream is in step. */
  #progress(): void {
    if (this.#stream.closed) return;
    if ([...this.#watchers.values()].every(({ inStep }) => inStep)) this.#send({ watch_id: '-1' });
    else this.#scheduler.at(catchUpEveryMs, () => this.#progress(), this.#member.process);
  }

  #cancel(id: string): void {
    if (this.#watchers.delete(id)) this.#send({ watch_id: id, canceled: true });
  }

  #send(part: object): void {
    if (this.#stream.closed) return;
    this.#stream.send({
      header: this.#etcd.header(this.#member),
      watch_id: '0',
      created: false,
      canceled: false,
      compact_revision: '0',
      cancel_reason: '',
      fragment: false,
      events: [],
      ...part,
    });
  }
}

function eventsFor({ range }: Watcher, news: readonly Committed[]) {
  return news.flatMap(({ events }) =>
    events
      .filter(({ key }) => inRange(key, range))
      .map(({ type, kv }) => ({ type: type === 'put' ? 'Put' : 'Delete', kv: toWire(kv) })),
  );
}
