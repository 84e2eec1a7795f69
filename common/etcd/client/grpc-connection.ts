import {
  type CallOptions,
  Channel,
  type ChannelCredentials,
  type Client,
  type ClientDuplexStream,
  connectivityState,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import {
  AuthClient,
  ClusterClient,
  type ICallable,
  KVClient,
  LeaseClient,
  MaintenanceClient,
  WatchClient,
} from 'etcd3/lib/rpc.js';
import { onAbort } from '../../async/abort.ts';
import { clock } from '../../async/clock.ts';
import type { Connection, Dial, Rpc, RpcLimits } from './connection.ts';
import { EtcdError, etcdError } from './errors.ts';
import { requestSeconds, requests } from './metrics.ts';
import { useNameResolver } from './name-resolver.ts';
import type { EtcdTls, Host } from './options.ts';
import { type ServiceName, serviceClient } from './protocol.ts';
import { ping, reconnect } from './timing.ts';
import { type Credentials, loadCredentials, requestedServerName } from './tls.ts';

/** Dials members over the network, with the TLS files that are there at that time. */
export function grpcDial(tls: EtcdTls | undefined): Dial {
  const dialer = new GrpcDialer(tls);
  return (host) => dialer.dial(host);
}

/** Keeps the credentials of each member, and knows when their files have changed. */
class GrpcDialer {
  readonly #tls: EtcdTls | undefined;
  readonly #credentials = new Map<string, Credentials>();

  constructor(tls: EtcdTls | undefined) {
    this.#tls = tls;
  }

  dial(host: Host): Connection {
    const credentials = this.#load(host);
    const names = { serverName: this.#tls?.serverName, requestedName: requestedServerName(host, this.#tls) };
    const channel = openChannel(host.target, credentials.channel, names);
    const isOutdated = (): boolean => this.#load(host) !== credentials;
    return new GrpcConnection(host.url, { channel, credentials: credentials.channel, isOutdated });
  }

  #load(host: Host): Credentials {
    const known = this.#credentials.get(host.url);
    try {
      const loaded = loadCredentials(host, this.#tls, known);
      this.#credentials.set(host.url, loaded);
      return loaded;
    } catch (error) {
      // Files that are being replaced may be missing for a moment: the ones that were read before still work.
      if (known === undefined) throw error;
      return known;
    }
  }
}

interface GrpcConnectionParts {
  readonly channel: Channel;
  readonly credentials: ChannelCredentials;
  readonly isOutdated: () => boolean;
}

type Unary = (
  request: unknown,
  metadata: Metadata,
  options: CallOptions,
  callback: (error: ServiceError | null, response: unknown) => void,
) => { cancel(): void };

/**
 * One HTTP/2 connection to one member, over grpc-js. Of etcd3, we use its typed clients and its protocol, not its connections,
 * retries, watches and leases: those lose events, and hang when a member does.
 */
class GrpcConnection implements Connection {
  readonly url: string;
  readonly openedAt = clock.now();
  readonly #channel: Channel;
  readonly #credentials: ChannelCredentials;
  readonly #isOutdated: () => boolean;
  readonly #clients = new Map<ServiceName, Client>();
  /** Calls and streams under way. */
  readonly #busy = new Set<{ cancel(): void }>();
  #retired = false;

  constructor(url: string, { channel, credentials, isOutdated }: GrpcConnectionParts) {
    this.url = url;
    this.#channel = channel;
    this.#credentials = credentials;
    this.#isOutdated = isOutdated;
  }

  get ready(): boolean {
    return this.#channel.getConnectivityState(false) === connectivityState.READY;
  }

  isOutdated(): boolean {
    return this.#isOutdated();
  }

  get idle(): boolean {
    return this.#busy.size === 0;
  }

  rpc(limits: RpcLimits, signal?: AbortSignal): Rpc {
    const callable: ICallable<GrpcConnection> = {
      exec: <T>(service: ServiceName, method: string, request: unknown) =>
        this.#unary(service, method, request, limits, signal) as Promise<T>,
      withConnection: async (service, open) => {
        const stream = await open({ resource: this, client: this.#client(service), metadata: metadata(limits.token) });
        this.#guard(stream as ClientDuplexStream<unknown, unknown>);
        return stream;
      },
      // etcd3 reports the errors of streams here; the owner of the stream hears of them too.
      markFailed: () => {},
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

  retire(): void {
    this.#retired = true;
    this.#closeWhenIdle();
  }

  close(): void {
    this.#retired = true;
    for (const call of [...this.#busy]) call.cancel();
    this.#channel.close();
  }

  #unary(service: ServiceName, method: string, request: unknown, limits: RpcLimits, signal?: AbortSignal) {
    const attempted = `${this.url} ${method}`;
    return new Promise<unknown>((resolve, reject) => {
      if (signal?.aborted) return reject(new EtcdError(attempted, status.CANCELLED, 'aborted'));
      const client = this.#client(service) as unknown as Record<string, Unary>;
      const started = clock.now();
      let release = (): void => {};
      const done = (error: ServiceError | null, response?: unknown): void => {
        release();
        this.#busy.delete(entry);
        requestSeconds.observe({ method }, (clock.now() - started) / 1000);
        requests.inc({ method, code: status[error?.code ?? status.OK] });
        if (error) reject(etcdError(attempted, error));
        else resolve(response);
        if (this.#retired) this.#closeWhenIdle();
      };
      const deadline = clock.wallTime() + limits.timeoutMs;
      const call = client[method]?.(request, metadata(limits.token), { deadline }, done);
      const cancel = (): void => call?.cancel();
      const entry = { cancel };
      this.#busy.add(entry);
      if (signal !== undefined) release = onAbort(signal, cancel);
    });
  }

  #guard(stream: ClientDuplexStream<unknown, unknown>): void {
    this.#busy.add(stream);
    // Without a listener, a stream that fails before its owner listens would end the process.
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
  // Makes a member without a leader refuse a call at once, instead of holding it until the deadline.
  data.set('hasleader', 'true');
  if (token !== undefined) data.set('token', token);
  return data;
}

useNameResolver();

/** Opens a channel; connects at the first call. */
function openChannel(
  target: string,
  credentials: ChannelCredentials,
  {
    serverName,
    requestedName,
  }: { readonly serverName: string | undefined; readonly requestedName: string | undefined },
): Channel {
  return new Channel(target, credentials, {
    'grpc.keepalive_time_ms': ping.everyMs,
    'grpc.keepalive_timeout_ms': ping.timeoutMs,
    'grpc.keepalive_permit_without_calls': 0,
    // A catch-up after an outage can be larger than grpc-js's 4 MiB.
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
    // Otherwise subchannels are shared by address, and a hung one would outlive the channel that is thrown away.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.enable_retries': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.initial_reconnect_backoff_ms': reconnect.firstMs,
    'grpc.min_reconnect_backoff_ms': reconnect.firstMs,
    'grpc.max_reconnect_backoff_ms': reconnect.maxMs,
    ...(requestedName !== undefined && { 'grpc.ssl_target_name_override': requestedName }),
    ...(serverName !== undefined && { 'grpc.default_authority': serverName }),
  });
}
