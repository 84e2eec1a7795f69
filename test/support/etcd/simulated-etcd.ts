import { status } from '@grpc/grpc-js';
import type {
  IEvent,
  IKeyValue,
  ILeaseKeepAliveRequest,
  ILeaseKeepAliveResponse,
  IRangeRequest,
  IRequestOp,
  ITxnRequest,
  IWatchRequest,
  IWatchResponse,
} from 'etcd3/lib/rpc.js';
import { clock } from '../../../common/async/clock.ts';
import type { Connection, Dial, Rpc, RpcStream } from '../../../common/etcd/client/connection.ts';
import { EtcdError } from '../../../common/etcd/client/errors.ts';

/** A stream that hands requests to `onRequest` and emits responses, each in a microtask. */
class SimulatedStream<Request, Response> implements RpcStream<Request, Response> {
  readonly #listeners: [event: string, listener: (message: never) => void][] = [];
  readonly #onRequest: (request: Request) => void;
  isOver = false;

  constructor(onRequest: (request: Request) => void) {
    this.#onRequest = onRequest;
  }

  on(event: string, listener: (message: never) => void): void {
    this.#listeners.push([event, listener]);
  }

  write(request: Request): void {
    if (!this.isOver) queueMicrotask(() => this.#onRequest(request));
  }

  cancel(): void {
    this.end(new EtcdError('stream', status.CANCELLED, 'Cancelled on client'));
  }

  send(response: Response): void {
    queueMicrotask(() => this.#emit('data', response));
  }

  end(error: Error): void {
    if (this.isOver) return;
    this.isOver = true;
    queueMicrotask(() => {
      this.#emit('error', error);
      this.#emit('status', undefined);
    });
  }

  #emit(event: string, message: unknown): void {
    for (const [name, listener] of this.#listeners) if (name === event) listener(message as never);
  }
}

interface Watcher {
  readonly stream: SimulatedStream<IWatchRequest, IWatchResponse>;
  readonly id: string;
  readonly holds: (key: string) => boolean;
}

/**
 * A cluster of etcd in this process, reached through {@link dial}. It has the keys, transactions, leases and watches that the
 * daemons use, without sockets and without compaction. Members share one store; each can be taken down.
 */
export class SimulatedEtcd {
  #revision = 1;
  readonly #keys = new Map<string, IKeyValue>();
  readonly #history: IEvent[] = [];
  readonly #leases = new Map<string, number>();
  readonly #watchers = new Set<Watcher>();
  readonly #down = new Set<string>();
  /** Open streams, with the address of their member. */
  readonly #streams = new Map<{ readonly isOver: boolean; end(error: Error): void }, string>();
  #watchIds = 0;

  /** Reaches a member; see the port in `common/etcd/client/connection.ts`. */
  readonly dial: Dial = ({ url }): Connection => {
    const close = (): void => this.#endStreams(url);
    const isOutdated = (): boolean => false;
    const rpc = (): Rpc => this.#rpc(url);
    return { url, openedAt: clock.now(), ready: true, idle: true, isOutdated, rpc, retire: () => {}, close };
  };

  /** Key to value, as they are now. */
  get values(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#keys].map(([key, kv]) => [key, kv.value.toString()] as const).sort());
  }

  /** Takes a member down: calls are refused, and streams end. */
  takeDown(url: string): void {
    this.#down.add(url);
    this.#endStreams(url);
  }

  /** Brings a member back. */
  bringUp(url: string): void {
    this.#down.delete(url);
  }

  /** Ends every lease, and deletes the keys under them. */
  expireAll(): void {
    for (const id of [...this.#leases.keys()]) this.#revoke(id);
  }

  /** Puts a key without a lease, as an administrator may. */
  put(key: string, value: string): void {
    this.#change(() => this.#put(key, Buffer.from(value), '0'));
  }

  /** Deletes a key, as an administrator may. */
  remove(key: string): void {
    this.#change(() => this.#delete(key));
  }

  #rpc(url: string): Rpc {
    const unary = async <T>(answer: () => T): Promise<T> => {
      await Promise.resolve();
      if (this.#down.has(url)) throw new EtcdError(url, status.UNAVAILABLE, 'connect ECONNREFUSED');
      return answer();
    };
    const rpc = {
      kv: {
        range: (request: IRangeRequest) => unary(() => this.#range(request)),
        txn: (request: ITxnRequest) => unary(() => this.#txn(request)),
      },
      lease: {
        leaseGrant: ({ ID = '0', TTL = 0 }) => unary(() => this.#grant(String(ID), Number(TTL))),
        leaseRevoke: ({ ID = '0' }) => unary(() => this.#revoke(String(ID))),
        leaseKeepAlive: () => unary(() => this.#keepAlive(url)),
      },
      watch: { watch: () => unary(() => this.#watch(url)) },
      maintenance: { status: () => unary(() => ({ version: '3.5.30' })) },
    };
    return rpc as unknown as Rpc;
  }

  #header() {
    return { cluster_id: '1', member_id: '1', revision: String(this.#revision), raft_term: '2' };
  }

  #range({ key, range_end }: IRangeRequest) {
    const holds = within(key, range_end);
    const kvs = [...this.#keys.values()].filter((kv) => holds(kv.key.toString()));
    return { header: this.#header(), kvs, more: false, count: String(kvs.length) };
  }

  #txn({ compare = [], success = [], failure = [] }: ITxnRequest) {
    const succeeded = compare.every(({ key, mod_revision }) => {
      return (this.#keys.get(String(key))?.mod_revision ?? '0') === String(mod_revision);
    });
    const responses = this.#change(() => (succeeded ? success : failure).map((operation) => this.#operate(operation)));
    return { header: this.#header(), succeeded, responses };
  }

  #operate({ request_range: range, request_put: put, request_delete_range: remove }: IRequestOp) {
    if (range !== undefined) return { response_range: this.#range(range) };
    if (remove !== undefined) this.#delete(String(remove.key));
    if (put !== undefined) {
      const key = String(put.key);
      const lease = put.ignore_lease ? (this.#keys.get(key)?.lease ?? '0') : String(put.lease ?? 0);
      if (lease !== '0' && !this.#leases.has(lease)) throw leaseNotFound();
      this.#put(key, put.value as Buffer, lease);
    }
    return {};
  }

  #put(key: string, value: Buffer, lease: string): void {
    const mod_revision = String(this.#revision + 1);
    const create_revision = this.#keys.get(key)?.create_revision ?? mod_revision;
    const kv: IKeyValue = { key: Buffer.from(key), value, lease, mod_revision, create_revision, version: '1' };
    this.#keys.set(key, kv);
    this.#history.push({ type: 'Put', kv, prev_kv: kv });
  }

  #delete(key: string): void {
    const kv = this.#keys.get(key);
    if (kv === undefined) return;
    this.#keys.delete(key);
    const gone = { ...kv, value: Buffer.alloc(0), lease: '0', mod_revision: String(this.#revision + 1) };
    this.#history.push({ type: 'Delete', kv: gone, prev_kv: kv });
  }

  /** Makes one revision of what `change` does, and shows it to the watchers. */
  #change<T>(change: () => T): T {
    const before = this.#history.length;
    const result = change();
    const events = this.#history.slice(before);
    if (events.length > 0) this.#revision += 1;
    for (const watcher of this.#watchers) this.#show(watcher, events);
    return result;
  }

  #show({ stream, id, holds }: Watcher, events: readonly IEvent[]): void {
    const shown = events.filter(({ kv }) => holds(kv.key.toString()));
    if (shown.length > 0 && !stream.isOver) stream.send(this.#watchResponse({ watch_id: id, events: shown }));
  }

  #watchResponse(facts: Partial<IWatchResponse>): IWatchResponse {
    const nothing = { created: false, canceled: false, compact_revision: '0', cancel_reason: '', fragment: false };
    return { header: this.#header(), watch_id: '-1', ...nothing, events: [], ...facts };
  }

  #watch(url: string) {
    const stream = new SimulatedStream<IWatchRequest, IWatchResponse>((request) => {
      const { create_request: create, cancel_request: cancel } = request;
      if (create !== undefined) {
        const id = String(this.#watchIds++);
        const watcher = { stream, id, holds: within(create.key, create.range_end) };
        this.#watchers.add(watcher);
        stream.send(this.#watchResponse({ watch_id: id, created: true }));
        const from = Number(create.start_revision ?? 0);
        this.#show(
          watcher,
          this.#history.filter(({ kv }) => Number(kv.mod_revision) >= from),
        );
      } else if (cancel !== undefined) {
        for (const watcher of this.#watchers)
          if (watcher.id === String(cancel.watch_id)) this.#watchers.delete(watcher);
      } else stream.send(this.#watchResponse({}));
    });
    this.#streams.set(stream, url);
    return stream;
  }

  #grant(id: string, ttlSeconds: number) {
    this.#leases.set(id, ttlSeconds);
    return { header: this.#header(), ID: id, TTL: String(ttlSeconds), error: '' };
  }

  #revoke(id: string) {
    if (!this.#leases.delete(id)) throw leaseNotFound();
    this.#change(() => {
      for (const [key, { lease }] of [...this.#keys]) if (lease === id) this.#delete(key);
    });
    return { header: this.#header() };
  }

  #keepAlive(url: string) {
    const stream = new SimulatedStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>(({ ID = '0' }) => {
      const id = String(ID);
      stream.send({ header: this.#header(), ID: id, TTL: String(this.#leases.get(id) ?? 0) });
    });
    this.#streams.set(stream, url);
    return stream;
  }

  #endStreams(url: string): void {
    for (const [stream, member] of this.#streams) {
      if (member !== url) continue;
      this.#streams.delete(stream);
      stream.end(new EtcdError(url, status.UNAVAILABLE, 'Connection dropped'));
    }
    for (const watcher of this.#watchers) if (watcher.stream.isOver) this.#watchers.delete(watcher);
  }
}

function leaseNotFound(): EtcdError {
  return new EtcdError('etcd', status.NOT_FOUND, 'etcdserver: requested lease not found');
}

/** Whether a key is in a range; an empty end is the one key. */
function within(key: Buffer | undefined, end: Buffer | undefined): (key: string) => boolean {
  const [from, to] = [String(key), end === undefined || end.length === 0 ? undefined : String(end)];
  return (name) => (to === undefined ? name === from : name >= from && name < to);
}
