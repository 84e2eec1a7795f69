import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import {
  Channel,
  type ChannelCredentials,
  type Client,
  loadPackageDefinition,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

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
