import { status } from '@grpc/grpc-js';
import { onAbort } from '../../async/abort.ts';
import type { Log } from '../../daemon/log.ts';
import { Call, type CallOptions } from './call.ts';
import type { Dial, Rpc, RpcStream } from './connection.ts';
import { EtcdError, etcdError } from './errors.ts';
import { grpcDial } from './grpc-connection.ts';
import { Member, type MemberCall } from './member.ts';
import { MemberPool } from './member-pool.ts';
import { checkEtcdOptions, type EtcdOptions } from './options.ts';
import { passwordOf } from './password.ts';
import { callLimits } from './timing.ts';

/** An open stream, with what is needed to judge it. */
export interface OpenStream<Request, Response> {
  readonly stream: RpcStream<Request, Response>;
  /** The member's address. */
  readonly member: string;
  readonly version: string | undefined;
  /** When a call to this member last went without an answer, milliseconds of `clock.now()`. */
  suspectSince(): number;
  /** Makes a unary call over the same connection, to see whether it still carries anything. */
  probe<T>(run: (rpc: Rpc) => Promise<T>, timeoutMs: number): Promise<T>;
  /** Says that the stream works. */
  succeeded(): void;
  /** Says why the stream is given up: the next one goes elsewhere, with a new token or connection where that helps. */
  failed(error: unknown): void;
}

/** Calls to etcd that try one member after the other. Nothing is sent until it is used. */
export interface EtcdClient {
  /** Addresses of the members. */
  readonly hosts: readonly string[];
  readonly status: EtcdClientStatus;
  /**
   * Makes a call that may be sent more than once. `run` gets typed stubs for one try; it must not catch their errors.
   * @throws {EtcdError} etcd's answer when that is final; otherwise how the last try failed, after `totalMs`
   */
  call<T>(run: (rpc: Rpc) => Promise<T>, options?: CallOptions, signal?: AbortSignal): Promise<T>;
  /**
   * Opens a stream on the best member. That it opened proves nothing: its owner waits for a first message.
   * @throws {EtcdError} when there is no token, or the stream cannot be opened
   */
  open<Request, Response>(
    start: (rpc: Rpc) => Promise<RpcStream<Request, Response>>,
    options?: Pick<CallOptions, 'attemptMs' | 'avoid'>,
    signal?: AbortSignal,
  ): Promise<OpenStream<Request, Response>>;
}

/** How the client is doing. */
export interface EtcdClientStatus {
  /** The address of the member that is used now. */
  readonly member: string;
  readonly version: string | null;
  /** Why the last call failed; null when it worked. */
  readonly reason: string | null;
}

/** What a client needs from outside. */
export interface EtcdClientDeps {
  readonly log: Log;
  /** How a member is reached; default: over the network. */
  readonly dial?: Dial;
}

/**
 * Makes a client; does no I/O. Everything it opens ends when `signal` aborts.
 * @throws when the options cannot be used, naming the option
 */
export function createEtcdClient(options: EtcdOptions, deps: EtcdClientDeps, signal: AbortSignal): EtcdClient {
  const { log, dial = grpcDial(options.tls ?? undefined) } = deps;
  const hosts = checkEtcdOptions(options);
  const identity = { username: options.username ?? null, password: passwordOf(options), dial };
  const members = hosts.map((host) => new Member(host, identity));
  return new ClusterClient(new MemberPool(members, log), signal);
}

class ClusterClient implements EtcdClient {
  readonly hosts: readonly string[];
  readonly #pool: MemberPool;
  readonly #signal: AbortSignal;

  constructor(pool: MemberPool, signal: AbortSignal) {
    this.hosts = pool.members.map((member) => member.url);
    this.#pool = pool;
    this.#signal = signal;
    onAbort(signal, () => pool.close());
  }

  get status(): EtcdClientStatus {
    const { url: member, version } = this.#pool.preferred;
    return { member, version: version ?? null, reason: this.#pool.reason };
  }

  call<T>(run: (rpc: Rpc) => Promise<T>, options: CallOptions = {}, signal?: AbortSignal): Promise<T> {
    return new Call(this.#pool, run, options, [this.#signal, signal]).result();
  }

  async open<Request, Response>(
    start: (rpc: Rpc) => Promise<RpcStream<Request, Response>>,
    options: Pick<CallOptions, 'attemptMs' | 'avoid'> = {},
    signal?: AbortSignal,
  ): Promise<OpenStream<Request, Response>> {
    if (this.#isAborted(signal)) throw new EtcdError('etcd stream', status.CANCELLED, 'aborted');
    const member = this.#pool.inOrder(options.avoid)[0] as Member;
    let call: MemberCall;
    let stream: RpcStream<Request, Response>;
    try {
      call = await member.rpc(options.attemptMs ?? callLimits.attemptMs, signal);
      stream = await start(call.rpc);
    } catch (error) {
      throw this.#streamFailed(member, error, { signal });
    }
    if (signal !== undefined)
      stream.on(
        'status',
        onAbort(signal, () => stream.cancel()),
      );
    if (this.#signal.aborted) stream.cancel();
    return this.#openStream({ member, call, stream }, signal);
  }

  #openStream<Request, Response>(
    { member, call, stream }: { member: Member; call: MemberCall; stream: RpcStream<Request, Response> },
    signal?: AbortSignal,
  ): OpenStream<Request, Response> {
    const { connection, token } = call;
    return {
      stream,
      member: member.url,
      get version() {
        return member.version;
      },
      suspectSince: () => member.suspectSince,
      probe: (run, timeoutMs) => run(connection.rpc({ timeoutMs, token }, signal)),
      succeeded: () => this.#pool.succeeded(member),
      failed: (error) => void this.#streamFailed(member, error, { call, signal }),
    };
  }

  #streamFailed(
    member: Member,
    cause: unknown,
    { call = {}, signal }: { readonly call?: Partial<MemberCall>; readonly signal: AbortSignal | undefined },
  ): EtcdError {
    const error = etcdError(member.url, cause);
    if (!this.#isAborted(signal)) this.#pool.failed(member, error, call);
    return error;
  }

  #isAborted(signal?: AbortSignal): boolean {
    return this.#signal.aborted || signal?.aborted === true;
  }
}
