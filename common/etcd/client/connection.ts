import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import {
  type CallOptions,
  Channel,
  type ChannelCredentials,
  type Client,
  type ClientDuplexStream,
  connectivityState,
  loadPackageDefinition,
  Metadata,
  type ServiceClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import {
  AuthClient,
  ClusterClient,
  type ICallable,
  KVClient,
  LeaseClient,
  MaintenanceClient,
  WatchClient,
} from 'etcd3/lib/rpc.js';
import { clock } from '../../async/clock.ts';
import { EtcdError, etcdError } from './errors.ts';
import { requestSeconds, requests } from './metrics.ts';

/** etcd3's typed clients; each call made through them obeys the limits they were made with. */
export interface Rpc {
  readonly kv: KVClient;
  readonly watch: WatchClient;
  readonly lease: LeaseClient;
  readonly cluster: ClusterClient;
  readonly maintenance: MaintenanceClient;
  readonly auth: AuthClient;
}

export interface RpcLimits {
  /** Milliseconds for each unary call, connecting included. Streams have none: who opens one watches over it. */
  readonly timeout: number;
  readonly token?: string | undefined;
}

/** What a connection goes to. */
export interface Destination {
  readonly url: string;
  readonly target: string;
  readonly credentials: ChannelCredentials;
  /** The name in requests, when it is not the one in the address. */
  readonly serverName?: string | undefined;
  /** The name that TLS asks for, likewise. */
  readonly askedName?: string | undefined;
}

type Unary = (
  request: unknown,
  metadata: Metadata,
  options: CallOptions,
  callback: (error: ServiceError | null, response: unknown) => void,
) => { cancel(): void };

/** One HTTP/2 connection to one member. It reconnects by itself; what it cannot do is notice that it hangs. */
export class Connection implements Pick<ICallable<Connection>, 'markFailed' | 'callOptionsFactory'> {
  readonly url: string;
  /** Milliseconds of `clock.now()`. */
  readonly openedAt = clock.now();
  readonly callOptionsFactory = undefined;
  readonly #channel: Channel;
  readonly #credentials: ChannelCredentials;
  readonly #clients = new Map<ServiceName, Client>();
  /** Calls and streams under way. */
  readonly #busy = new Set<{ cancel(): void }>();
  #retired = false;

  constructor({ url, target, credentials, ...names }: Destination) {
    this.url = url;
    this.#credentials = credentials;
    this.#channel = openChannel(target, credentials, names);
  }

  /** True while it is connected as far as anyone knows. */
  get ready(): boolean {
    return this.#channel.getConnectivityState(false) === connectivityState.READY;
  }

  /** True when nothing is under way on it. */
  get idle(): boolean {
    return this.#busy.size === 0;
  }

  /** Typed clients whose calls end at their deadline or when `signal` aborts. They throw {@link EtcdError}. */
  rpc(limits: RpcLimits, signal?: AbortSignal): Rpc {
    const callable: ICallable<Connection> = {
      exec: <T>(service: ServiceName, method: string, request: unknown) =>
        this.#unary(service, method, request, limits, signal) as Promise<T>,
      withConnection: async (service, open) => {
        const stream = await open({ resource: this, client: this.#client(service), metadata: metadata(limits.token) });
        this.#guard(stream as ClientDuplexStream<unknown, unknown>);
        return stream;
      },
      markFailed: this.markFailed,
      callOptionsFactory: undefined,
    };
    return {
      kv: new KVClient(callable),
      watch: new WatchClient(callable),
      lease: new LeaseClient(callable),
      cluster: new ClusterClient(callable),
      maintenance: new MaintenanceClient(callable),
      auth: new AuthClient(callable),
    };
  }

  /** Takes no new calls, and closes when those under way have ended: they belong to others. */
  retire(): void {
    this.#retired = true;
    this.#closeWhenIdle();
  }

  /** Ends everything now. */
  close(): void {
    this.#retired = true;
    for (const call of [...this.#busy]) call.cancel();
    this.#channel.close();
  }

  /** etcd3 reports streams' errors here; whoever opened the stream hears of them too. */
  markFailed(): void {}

  #unary(service: ServiceName, method: string, request: unknown, limits: RpcLimits, signal?: AbortSignal) {
    const what = `${this.url} ${method}`;
    return new Promise<unknown>((resolve, reject) => {
      if (signal?.aborted) return reject(new EtcdError(what, status.CANCELLED, 'aborted'));
      const client = this.#client(service) as unknown as Record<string, Unary>;
      const started = clock.now();
      const done = (error: ServiceError | null, response?: unknown): void => {
        signal?.removeEventListener('abort', cancel);
        this.#busy.delete(entry);
        requestSeconds.observe({ method }, (clock.now() - started) / 1000);
        requests.inc({ method, code: status[error?.code ?? status.OK] });
        if (error) reject(etcdError(what, error));
        else resolve(response);
        if (this.#retired) this.#closeWhenIdle();
      };
      const deadline = clock.wallTime() + limits.timeout;
      const call = client[method]?.(request, metadata(limits.token), { deadline }, done);
      const cancel = (): void => call?.cancel();
      const entry = { cancel };
      this.#busy.add(entry);
      signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  #guard(stream: ClientDuplexStream<unknown, unknown>): void {
    this.#busy.add(stream);
    // A stream without a listener for errors would end the process when it fails before its owner listens.
    stream.on('error', () => {});
    stream.on('status', () => {
      this.#busy.delete(stream);
      if (this.#retired) this.#closeWhenIdle();
    });
  }

  #client(service: ServiceName): Client {
    let client = this.#clients.get(service);
    if (client === undefined) {
      client = serviceClient(service, this.#channel, this.#credentials);
      this.#clients.set(service, client);
    }
    return client;
  }

  #closeWhenIdle(): void {
    if (this.#busy.size === 0) this.#channel.close();
  }
}

function metadata(token: string | undefined): Metadata {
  const data = new Metadata();
  // A member that has lost its leader refuses at once instead of keeping us waiting.
  data.set('hasleader', 'true');
  if (token !== undefined) data.set('token', token);
  return data;
}

// etcd3 is CommonJS. Its typed clients and its protocol files are what we use of it; its connections, retries, watches
// and leases are not: they lose events and hang when a member does.
const require = createRequire(import.meta.url);
const protocol = join(dirname(require.resolve('etcd3')), '../proto/rpc.proto');

/** etcd's gRPC services. */
export type ServiceName = 'KV' | 'Watch' | 'Lease' | 'Cluster' | 'Maintenance' | 'Auth';

const definition = loadPackageDefinition(
  loadSync(protocol, { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true }),
);
const services = definition.etcdserverpb as unknown as Record<ServiceName, ServiceClientConstructor>;

/** A raw client of one service over a channel that exists already. */
export function serviceClient(name: ServiceName, channel: Channel, credentials: ChannelCredentials): Client {
  return new services[name](channel.getTarget(), credentials, { channelOverride: channel });
}

/** Opens a channel; connects at the first call. */
export function openChannel(
  target: string,
  credentials: ChannelCredentials,
  { serverName, askedName }: { readonly serverName?: string | undefined; readonly askedName?: string | undefined } = {},
): Channel {
  return new Channel(target, credentials, {
    // etcd refuses pings more frequent than every 5 s (--grpc-keepalive-min-time) and, without a stream, ever.
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 3_000,
    'grpc.keepalive_permit_without_calls': 0,
    // A catch-up after an outage can be larger than grpc-js's 4 MiB.
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
    // Subchannels are shared by address otherwise, and a hung one would outlive the channel we throw away.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.enable_retries': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.min_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1_000,
    ...(askedName !== undefined && { 'grpc.ssl_target_name_override': askedName }),
    ...(serverName !== undefined && { 'grpc.default_authority': serverName }),
  });
}
