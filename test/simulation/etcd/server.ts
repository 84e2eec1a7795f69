import type { ICompare, IRangeRequest, IRequestOp, ITxnRequest, IWatchRequest } from 'etcd3/lib/rpc.js';
import type { Scheduler, SimulatedProcess } from '../engine/scheduler.ts';
import type { SimulatedEtcd } from './cluster.ts';
import { failures, type RpcFailure } from './failures.ts';
import type { Member } from './member.ts';
import type { StoredKeyValue } from './store.ts';
import { type ServerStream, WatchSession } from './watch-session.ts';
import { accessesOf, demandOf, type PermissionRequest, rangeOf, text, toWire } from './wire.ts';

/** One answer of a unary call, or its error. */
export interface Reply {
  resolve(response: unknown): void;
  reject(error: RpcFailure): void;
}

/** Who makes a call, and what it may do by its token. */
export interface Caller {
  readonly token: string | undefined;
  readonly process: SimulatedProcess;
}

/** etcd's gRPC services of one member: the calls that the daemons make, with the answers of a real one. */
export class MemberServer {
  readonly #etcd: SimulatedEtcd;
  readonly #member: Member;
  readonly #scheduler: Scheduler;

  constructor(etcd: SimulatedEtcd, member: Member, scheduler: Scheduler) {
    this.#etcd = etcd;
    this.#member = member;
    this.#scheduler = scheduler;
  }

  unary(method: string, request: unknown, caller: Caller, reply: Reply): void {
    const refused = this.#refusal(method, request, caller);
    if (refused !== undefined) {
      reply.reject(refused);
      return;
    }
    const handler = this.#handlers[method];
    if (handler === undefined) throw new Error(`the simulated etcd does not know ${method}`);
    this.#client = caller.process;
    handler(request as never, reply);
  }

  /** Whose call is handled now. */
  #client: SimulatedProcess | undefined;

  readonly #handlers: Readonly<Record<string, (request: never, reply: Reply) => void>> = {
    range: (request: IRangeRequest, reply) => this.#propose(() => this.#range(request), reply),
    txn: (request: ITxnRequest, reply) => this.#propose(() => this.#txn(request), reply),
    put: (request: { key: Buffer; value: Buffer; lease?: string | number }, reply) =>
      this.#propose(() => this.#etcd.put(text(request.key), request.value, String(request.lease ?? '0')), reply),
    deleteRange: (request: { key: Buffer; range_end?: Buffer }, reply) =>
      this.#propose(() => ({ deleted: String(this.#etcd.delete(rangeOf(request))) }), reply),
    leaseGrant: ({ ID, TTL }: { ID: string; TTL: number }, reply) =>
      this.#propose(() => {
        this.#etcd.grant(String(ID), Number(TTL));
        return { ID: String(ID), TTL: String(TTL) };
      }, reply),
    leaseRevoke: ({ ID }: { ID: string }, reply) => this.#propose(() => this.#etcd.revoke(String(ID)), reply),
    leaseTimeToLive: ({ ID, keys }: { ID: string; keys?: boolean }, reply) =>
      this.#propose(() => {
        const { ttl, granted, keys: all } = this.#etcd.timeToLive(String(ID));
        const list = keys ? all.map((key) => Buffer.from(key)) : [];
        return { ID: String(ID), TTL: String(ttl), grantedTTL: String(granted), keys: list };
      }, reply),
    compact: ({ revision }: { revision: string }, reply) =>
      this.#propose(() => this.#etcd.compact(Number(revision)), reply),
    status: (_: object, reply) =>
      reply.resolve({ header: this.#etcd.header(this.#member), version: this.#etcd.behaviour.version, dbSize: '0' }),
    alarm: ({ action }: { action: 'Activate' | 'Deactivate' }, reply) =>
      this.#propose(() => {
        this.#etcd.outOfSpace = action === 'Activate';
      }, reply),
    authenticate: ({ name, password }: { name: string; password: string }, reply) =>
      this.#propose(() => ({ token: this.#etcd.users.login(name, password) }), reply),
    authEnable: (_: object, reply) =>
      this.#propose(() => {
        this.#etcd.users.enabled = true;
      }, reply),
    userAdd: ({ name, password }: { name: string; password: string }, reply) =>
      this.#propose(() => this.#etcd.users.add(name, password), reply),
    userGrantRole: ({ user, role }: { user: string; role: string }, reply) =>
      this.#propose(() => this.#etcd.users.grantRole(user, role), reply),
    roleAdd: ({ name }: { name: string }, reply) => this.#propose(() => this.#etcd.users.addRole(name), reply),
    roleGrantPermission: ({ name, perm }: { name: string; perm: PermissionRequest }, reply) =>
      this.#propose(() => this.#etcd.users.grantPermission(name, accessesOf(perm)), reply),
  };

  /** Serves a keepalive stream. @returns what takes its requests */
  keepAlive(stream: ServerStream): (request: { ID: string }) => void {
    return ({ ID }) => {
      const answer = (ttl: number): void => {
        if (stream.closed) return;
        stream.send({ header: this.#etcd.header(this.#member), ID: String(ID), TTL: String(ttl) });
      };
      this.#etcd.keepAlive(this.#member, String(ID), answer, (error) => stream.fail(error));
    };
  }

  /** Serves a watch stream. @returns what takes its requests, and what ends it */
  watch(stream: ServerStream, caller: Caller): { request(request: IWatchRequest): void; end(): void } {
    const session = new WatchSession(this.#etcd, this.#member, this.#scheduler, stream, (range) =>
      this.#etcd.users.refusal(caller.token, [{ kind: 'read', range }]),
    );
    return { request: (request) => session.request(request), end: () => session.end() };
  }

  /** Why a call is refused before it is proposed; undefined when it is not. */
  #refusal(method: string, request: unknown, { token }: Caller): RpcFailure | undefined {
    if (method === 'authenticate') return undefined;
    const { users, behaviour } = this.#etcd;
    if (!behaviour.guardsLeases) {
      if (method === 'status' || method === 'leaseTimeToLive') return undefined;
      if (token === undefined && method.startsWith('lease')) return undefined;
    }
    return users.refusal(token, demandOf(method, request));
  }

  #propose(run: () => unknown, reply: Reply): void {
    const done = (result: unknown): void =>
      reply.resolve({ header: this.#etcd.header(this.#member), ...(result as object | undefined) });
    this.#etcd.propose(this.#member, { run, by: this.#client }, done, (error) => reply.reject(error));
  }

  #range(request: IRangeRequest) {
    const range = rangeOf(request as { key: Buffer; range_end?: Buffer });
    const { store } = this.#etcd;
    const revision = Number(request.revision ?? 0);
    if (revision > store.revision) throw failures.futureRevision();
    const found = revision === 0 ? store.range(range) : store.rangeAt(range, revision);
    if (found === undefined) throw failures.compacted();
    const limit = Number(request.limit ?? 0) || found.length;
    if (request.count_only) return { kvs: [], more: false, count: String(found.length) };
    const shown = sorted(found, request)
      .slice(0, limit)
      .map((kv) => toWire(request.keys_only ? { ...kv, value: Buffer.alloc(0) } : kv));
    return { kvs: shown, more: found.length > limit, count: String(found.length) };
  }

  #txn({ compare = [], success = [], failure = [] }: ITxnRequest) {
    // etcd counts both branches.
    if (this.#etcd.outOfSpace && [...success, ...failure].some((one) => one.request_put != null)) {
      throw failures.noSpace();
    }
    const succeeded = compare.every((one) => this.#holds(one));
    const responses = (succeeded ? success : failure).map((operation) => this.#operation(operation));
    return { succeeded, responses };
  }

  #holds({ key, target, mod_revision, create_revision, lease }: ICompare): boolean {
    const kv = this.#etcd.store.get(text(key as Buffer));
    const kind = String(target);
    if (kind === 'Mod') return (kv?.modRevision ?? 0) === Number(mod_revision);
    if (kind === 'Create') return (kv?.createRevision ?? 0) === Number(create_revision);
    if (kind === 'Lease') return (kv?.lease ?? '0') === String(lease);
    throw new Error(`the simulated etcd does not compare ${kind}`);
  }

  #operation({ request_put: put, request_delete_range: gone, request_range: range }: IRequestOp) {
    const header = { revision: String(this.#etcd.store.revision + 1) };
    if (put != null) {
      const key = text(put.key as Buffer);
      const lease = put.ignore_lease ? (this.#etcd.store.get(key)?.lease ?? '0') : String(put.lease ?? '0');
      this.#etcd.put(key, put.value as Buffer, lease);
      return { response_put: { header } };
    }
    if (gone != null) {
      const deleted = this.#etcd.delete(rangeOf(gone as { key: Buffer; range_end?: Buffer }));
      return { response_delete_range: { header, deleted: String(deleted) } };
    }
    return { response_range: this.#range(range as IRangeRequest) };
  }
}

/** In the order that a request asks for; without a wish in the order of the keys. */
function sorted(
  found: readonly StoredKeyValue[],
  { sort_order, sort_target }: IRangeRequest,
): readonly StoredKeyValue[] {
  if (sort_order === undefined || sort_order === 'None') return found;
  if (sort_target !== 'Mod') throw new Error(`the simulated etcd does not sort by ${sort_target}`);
  const sign = sort_order === 'Descend' ? -1 : 1;
  return found.toSorted((a, b) => sign * (a.modRevision - b.modRevision));
}
