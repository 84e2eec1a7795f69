import { status } from '@grpc/grpc-js';
import { onAbort } from '../../../common/async/abort.ts';
import { clock } from '../../../common/async/clock.ts';
import type { Connection, Rpc, RpcLimits } from '../../../common/etcd/client/connection.ts';
import { EtcdError } from '../../../common/etcd/client/errors.ts';
import type { Link, Network } from '../engine/network.ts';
import type { Scheduler, SimulatedProcess } from '../engine/scheduler.ts';
import { ClientStream } from './client-stream.ts';
import type { SimulatedEtcd } from './cluster.ts';
import { RpcFailure } from './failures.ts';
import type { Member } from './member.ts';
import { MemberServer } from './server.ts';

/** Where a client of etcd runs. */
export interface ClientPlace {
  readonly host: string;
  readonly process: SimulatedProcess;
  /** Called when a call was answered. */
  readonly onAnswer?: (method: string, request: unknown, response: unknown) => void;
}

/**
 * A member that was frozen finds the request and its cancellation at once, and often does not begin with it any more:
 * measured with etcd 3.4.23 and 3.5.30, 10 of 16 were not carried out.
 */
const cancelledInTime = 0.6;

/** What gRPC's own pings do to a connection whose other end is silent: `grpc.keepalive_time_ms` and its timeout. */
const pingAfterMs = 10_000;
const pingTimeoutMs = 3_000;

interface Call {
  /** Ends the call for its caller. */
  readonly fail: (error: RpcFailure) => void;
}

/** One gRPC connection of one client to one member, over the simulated network. It reconnects by itself, as gRPC does. */
export class SimulatedConnection implements Connection {
  readonly url: string;
  readonly openedAt = clock.now();
  readonly #scheduler: Scheduler;
  readonly #network: Network;
  readonly #etcd: SimulatedEtcd;
  readonly #member: Member;
  readonly #place: ClientPlace;
  readonly #busy = new Set<Call>();
  #link: Link | undefined;
  #server: MemberServer | undefined;
  #serverLink: Link | undefined;
  #closed = false;
  #retired = false;
  #heardAt = 0;
  #pinging = false;

  constructor(scheduler: Scheduler, network: Network, etcd: SimulatedEtcd, member: Member, place: ClientPlace) {
    this.url = member.url;
    this.#scheduler = scheduler;
    this.#network = network;
    this.#etcd = etcd;
    this.#member = member;
    this.#place = place;
  }

  get ready(): boolean {
    return this.#link !== undefined && !this.#link.closed;
  }

  get idle(): boolean {
    return this.#busy.size === 0;
  }

  isOutdated(): boolean {
    return false;
  }

  rpc(limits: RpcLimits, signal?: AbortSignal): Rpc {
    const service = new Proxy(
      {},
      {
        get: (_, method: string) => {
          if (method === 'watch') return () => this.#stream('watch', limits);
          if (method === 'leaseKeepAlive') return () => this.#stream('keepAlive', limits);
          return (request: unknown) => this.#unary(method, request, limits, signal);
        },
      },
    );
    return {
      kv: service,
      watch: service,
      lease: service,
      cluster: service,
      maintenance: service,
      auth: service,
    } as unknown as Rpc;
  }

  retire(): void {
    this.#retired = true;
    this.#closeWhenIdle();
  }

  close(): void {
    this.#closed = true;
    for (const call of [...this.#busy]) call.fail(new RpcFailure(status.CANCELLED, 'Cancelled on client'));
    this.#link?.close();
    this.#link = undefined;
  }

  #closeWhenIdle(): void {
    if (this.#retired && this.#busy.size === 0) this.close();
  }

  #unary(method: string, request: unknown, limits: RpcLimits, signal?: AbortSignal): Promise<unknown> {
    const what = `${this.url} ${method}`;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(new EtcdError(what, status.CANCELLED, 'aborted'));
      let over = false;
      const end = (act: () => void): void => {
        if (over) return;
        over = true;
        this.#busy.delete(call);
        clock.clearTimeout(timer);
        release();
        act();
        this.#closeWhenIdle();
      };
      const call: Call = {
        fail: (error) => end(() => reject(new EtcdError(what, error.code, error.details))),
      };
      this.#busy.add(call);
      const timer = clock.setTimeout(
        () => call.fail(new RpcFailure(status.DEADLINE_EXCEEDED, 'Deadline exceeded')),
        limits.timeoutMs,
      );
      const release =
        signal === undefined
          ? () => {}
          : onAbort(signal, () => call.fail(new RpcFailure(status.CANCELLED, 'Cancelled on client')));
      this.#connected(call, (link, server, back) => {
        const { process, onAnswer } = this.#place;
        const answer = (response: unknown): void => {
          onAnswer?.(method, request, response);
          resolve(response);
        };
        link.send((waitedMs) => {
          if (over && waitedMs > 0 && this.#scheduler.random() < cancelledInTime) return;
          const caller = { token: limits.token, process };
          server.unary(method, request, caller, {
            resolve: (response) => back.send(() => this.#heard(() => end(() => answer(response)))),
            reject: (error) => back.send(() => this.#heard(() => call.fail(error))),
          });
        });
      });
    });
  }

  #stream(kind: 'watch' | 'keepAlive', limits: RpcLimits): Promise<unknown> {
    const stream = new ClientStream();
    const call: Call = {
      fail: (error) => {
        this.#busy.delete(call);
        stream.failed(error);
        this.#closeWhenIdle();
      },
    };
    this.#busy.add(call);
    this.#connected(call, (link, server, back) => {
      const serverStream = {
        get closed() {
          return back.closed || stream.over;
        },
        send: (response: unknown) => back.send(() => this.#heard(() => stream.received(response))),
        fail: (error: RpcFailure) => back.send(() => this.#heard(() => call.fail(error))),
      };
      // Made when the server hears of the stream, so that what it does is its own.
      let handler: { request(request: never): void; end(): void } | undefined;
      link.send(() => {
        handler =
          kind === 'watch'
            ? server.watch(serverStream, { token: limits.token, process: this.#place.process })
            : { request: server.keepAlive(serverStream) as (request: never) => void, end: () => {} };
      });
      stream.attach(
        (request) => link.send(() => handler?.request(request as never)),
        () => {
          this.#busy.delete(call);
          link.send(() => handler?.end());
          this.#closeWhenIdle();
        },
      );
    });
    this.#ping();
    return Promise.resolve(stream);
  }

  /** Calls `use` when there is a connection; fails the call when there cannot be one. */
  #connected(call: Call, use: (link: Link, server: MemberServer, back: Link) => void): void {
    if (this.#closed) {
      call.fail(new RpcFailure(status.UNAVAILABLE, 'Channel closed before call started'));
      return;
    }
    if (this.#useOpen(use)) return;
    // A handshake needs one message each way.
    const { host } = this.#place;
    this.#network.carry(host, this.#member.host, () => {
      if (!this.#member.running) {
        this.#network.carry(this.#member.host, host, () =>
          this.#asClient(() =>
            call.fail(
              new RpcFailure(
                status.UNAVAILABLE,
                `No connection established. Last error: Error: connect ECONNREFUSED ${this.#member.host}:2379.`,
              ),
            ),
          ),
        );
        return;
      }
      // A frozen process does not finish HTTP/2's handshake.
      this.#scheduler.at(
        0,
        () => this.#network.carry(this.#member.host, host, () => this.#asClient(() => this.#establish(call, use))),
        this.#member.process,
      );
    });
  }

  #establish(call: Call, use: (link: Link, server: MemberServer, back: Link) => void): void {
    if (this.#closed || !this.#member.running) {
      call.fail(new RpcFailure(status.UNAVAILABLE, 'Connection dropped'));
      return;
    }
    if (this.#link === undefined || this.#link.closed) {
      const { process: peer } = this.#member;
      const dropped = (): void => this.#dropped();
      const pair = this.#network.connect(
        { host: this.#place.host, process: this.#place.process, onClosed: dropped },
        { host: this.#member.host, process: peer, onClosed: () => {} },
      );
      this.#link = pair.a;
      this.#serverLink = pair.b;
      this.#server = new MemberServer(this.#etcd, this.#member, this.#scheduler);
      this.#heardAt = this.#scheduler.now();
    }
    this.#useOpen(use);
  }

  /** @returns false when there is no open connection */
  #useOpen(use: (link: Link, server: MemberServer, back: Link) => void): boolean {
    const [link, server, back] = [this.#link, this.#server, this.#serverLink];
    if (link === undefined || link.closed || server === undefined || back === undefined) return false;
    use(link, server, back);
    return true;
  }

  #dropped(): void {
    this.#link = undefined;
    for (const call of [...this.#busy]) call.fail(new RpcFailure(status.UNAVAILABLE, 'Connection dropped'));
  }

  #heard(act: () => void): void {
    this.#heardAt = this.#scheduler.now();
    act();
  }

  /** gRPC pings while calls are under way: a peer that is silent for too long is given up. */
  #ping(): void {
    if (this.#pinging) return;
    this.#pinging = true;
    const look = (): void => {
      if (this.#busy.size === 0 || this.#closed) {
        this.#pinging = false;
        return;
      }
      const link = this.#link;
      const sentAt = this.#scheduler.now();
      if (link !== undefined && !link.closed) {
        const back = this.#serverLink;
        link.send(() => back?.send(() => this.#heard(() => {})));
        this.#scheduler.at(
          pingTimeoutMs,
          () => {
            if (this.#link === link && this.#heardAt < sentAt) {
              link.close();
              this.#dropped();
            }
          },
          this.#place.process,
        );
      }
      this.#scheduler.at(pingAfterMs, look, this.#place.process);
    };
    this.#scheduler.at(pingAfterMs, look, this.#place.process);
  }

  #asClient(act: () => void): void {
    this.#scheduler.at(0, act, this.#place.process);
  }
}
