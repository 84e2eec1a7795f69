import type {
  AuthClient,
  ClusterClient,
  ILeaseKeepAliveRequest,
  ILeaseKeepAliveResponse,
  IWatchRequest,
  IWatchResponse,
  KVClient,
  LeaseClient,
  MaintenanceClient,
  WatchClient,
} from 'etcd3/lib/rpc.js';
import type { Host } from './options.ts';

/*
 * The port to etcd: how one member is reached. Everything above it (which member is used, retries, tokens, watches,
 * leases) works over any implementation. `grpc-connection.ts` is the one over the network; a simulation hands in one that
 * reaches a simulated etcd in the same process.
 */

/**
 * Begins to reach a member: called at the first call to it, and again after each `retire` of the previous one. Does no
 * I/O and does not wait; the connection connects at its first call, and again by itself when it was cut.
 * @throws when it cannot be tried at all, because TLS files cannot be read
 */
export type Dial = (host: Host) => Connection;

/** One connection to one member. It reconnects by itself, but does not notice that it hangs. */
export interface Connection {
  readonly url: string;
  /** When it was made, milliseconds of `clock.now()`. */
  readonly openedAt: number;
  /** True while it is connected; a connection that hangs counts as connected. */
  readonly ready: boolean;
  /** True while no call and no stream is under way on it. */
  readonly idle: boolean;
  /** True when a connection that is made now would differ from this one, because its TLS files have changed. */
  isOutdated(): boolean;
  /**
   * Typed stubs of etcd's services. Each unary call ends at its deadline, or when `signal` aborts. Calls reject with an
   * `EtcdError` that has gRPC's code and etcd's own text: callers tell errors apart by them.
   */
  rpc(limits: RpcLimits, signal?: AbortSignal): Rpc;
  /** Takes no new calls, and closes when those under way have ended. */
  retire(): void;
  /** Ends everything now. */
  close(): void;
}

/** Limits of the calls made through one set of stubs. */
export interface RpcLimits {
  /** Milliseconds for each unary call, connecting included. Streams have no limit: their owner watches over them. */
  readonly timeoutMs: number;
  /** The token of a user; see etcd's `Auth.Authenticate`. */
  readonly token?: string | undefined;
}

/** The public methods of a class without its private fields: the interface of another implementation. */
type Stub<Client> = Pick<Client, keyof Client>;

/** etcd's services, typed as etcd3 has them; the two streams with the methods that are used. */
export interface Rpc {
  readonly kv: Stub<KVClient>;
  readonly watch: Omit<Stub<WatchClient>, 'watch'> & {
    watch(): Promise<RpcStream<IWatchRequest, IWatchResponse>>;
  };
  readonly lease: Omit<Stub<LeaseClient>, 'leaseKeepAlive'> & {
    leaseKeepAlive(): Promise<RpcStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>>;
  };
  readonly cluster: Stub<ClusterClient>;
  readonly maintenance: Stub<MaintenanceClient>;
  readonly auth: Stub<AuthClient>;
}

/**
 * A stream in both directions. Messages arrive in order. It ends with `end` or `error`, and in any case with one `status`;
 * an `error` that has no listener is dropped.
 */
export interface RpcStream<Request, Response> {
  write(request: Request): unknown;
  cancel(): void;
  on(event: 'data', listener: (response: Response) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'end' | 'status', listener: () => void): unknown;
}
