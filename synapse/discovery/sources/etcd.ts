import { createHash } from 'node:crypto';
import type { EtcdClient } from '../../../common/etcd/client/client.ts';
import { checkEtcdOptions, type EtcdOptions, etcdSchema } from '../../../common/etcd/client/options.ts';
import { revokesWrongly } from '../../../common/etcd/client/version.ts';
import { type Decode, decodeValue, readDecode } from '../../../common/etcd/records/decode.ts';
import { inspectRecords } from '../../../common/etcd/records/inspect.ts';
import { Records } from '../../../common/etcd/records/records.ts';
import { delayDeletes } from '../../../common/etcd/watch/delayed-deletes.ts';
import type { KeyChange, OnChange, PrefixChange } from '../../../common/etcd/watch/prefix-state.ts';
import { createReflector, type Reflector } from '../../../common/etcd/watch/reflector.ts';
import { globPattern } from '../../../common/glob.ts';
import type { LookAt, Source, SourceContext, SourcePlugin, SourceStatus } from '../../source.ts';
import { withDocument } from '../with-published.ts';

/** Options of `method: etcd`. What is not given here is taken from the top-level `etcd` section. */
export interface EtcdSourceOptions {
  readonly path?: string;
  readonly generator_config_path?: string;
  readonly keys?: string;
  readonly decode?: Decode;
  readonly hosts?: EtcdOptions['hosts'];
  readonly host?: string;
  readonly port?: number;
  /** Null, here and below: none, even if the section has some. */
  readonly tls?: EtcdOptions['tls'];
  readonly username?: string | null;
  readonly password?: string | null;
}

export const source: SourcePlugin<EtcdSourceOptions> = {
  description: 'Follows what nerve announces in etcd: every key below a path, at any depth.',
  schema: {
    path: {
      doc: 'Where the instances of the service are, default /nerve/services/<service>.',
      format: readPath,
      type: 'path',
      default: undefined,
    },
    generator_config_path: {
      doc: 'Key of a JSON object whose haproxy section goes over the local one of the service; disabled: none.',
      format: (value) => (value === 'disabled' ? value : readPath(value)),
      type: 'path',
      default: undefined,
    },
    keys: {
      doc: 'Which keys below the path are of this service, where it holds several: * is any text without a slash, ** any.',
      format: 'non-empty-string',
      default: undefined,
    },
    decode: {
      doc: 'How values are read that nerve did not write: {method: json, host: PATH, port: PATH}, or {method: address}.',
      format: readDecode,
      type: 'object',
      default: undefined,
    },
    hosts: {
      ...etcdSchema.hosts,
      doc: 'Addresses of another cluster than that of the etcd section.',
      default: undefined,
    },
    host: { doc: 'One address, as older configurations have it; goes with port.', format: 'host', default: undefined },
    port: { doc: 'Port of host.', format: 'port', default: undefined },
    tls: { ...etcdSchema.tls, default: undefined },
    username: { doc: 'User, when the cluster has authentication on.', format: 'optional-string', default: undefined },
    password: { doc: 'Password of that user.', format: 'optional-string', default: undefined, sensitive: true },
  },
  create,
  look,
};

async function look(options: EtcdSourceOptions, { service, etcd, log, timeout }: LookAt) {
  const { decode = { method: 'nerve' }, keys } = options;
  const cluster = clusterOf(options, etcd);
  return inspectRecords(cluster, prefixOf(options, service), {
    decode,
    log,
    timeoutMs: timeout,
    ...(keys !== undefined && { keys: globPattern(keys) }),
  });
}

function prefixOf({ path }: EtcdSourceOptions, service: string): string {
  return `${path ?? `/nerve/services/${service}`}/`;
}

function create(options: EtcdSourceOptions, context: SourceContext): Source {
  const { service } = context;
  const cluster = clusterOf(options, context.etcd);
  checkEtcdOptions(cluster);
  const key = clusterKey(cluster);
  const prefix = prefixOf(options, service);
  const { keys, decode = { method: 'nerve' }, generator_config_path } = options;
  const pattern = keys === undefined ? undefined : globPattern(keys);
  const records = new Records((value) => decodeValue(value, decode), {
    onRejected: (record) => context.rejected(record),
    onGone: (id, how) => context.gone(id, how),
  });

  const document = generator_config_path === 'disabled' ? undefined : generator_config_path;
  const joined = withDocument(document, context);
  let connected: Connection | undefined;
  const follow: Source = async (publish, signal) => {
    connected = context.shared(key, (end, log) => {
      const client = context.openEtcd(cluster, { log }, end);
      return { client, reflector: createReflector(client, { log }, end) };
    });
    const { client, reflector } = connected;
    let first = true;
    const handed = joined.start(publish);
    const take: OnChange = (all) => {
      const change = pattern === undefined ? all : onlyMatching(all, prefix, pattern);
      const set = records.apply(change) ?? (first ? records.set() : undefined);
      first = false;
      if (set !== undefined) handed.publish({ ...set, unique: true, revision: change.revision, seenAt: change.seenAt });
    };
    const takeDocument = ({ entries, seenAt }: PrefixChange): void => {
      // Longer keys begin like this one too.
      const entry = document === undefined ? undefined : entries.get(document);
      handed.take(entry?.value, entry?.modRevision, seenAt);
    };
    const doubtful = ({ key, previous }: KeyChange): boolean =>
      (revokesWrongly(client.status.version ?? undefined) || (reflector.status.electionAge ?? unsettled) < unsettled) &&
      previous?.lease !== '0' &&
      !records.saidDown(key);
    const end = new AbortController();
    const either = AbortSignal.any([signal, end.signal]);
    try {
      await Promise.all([
        reflector.follow(prefix, delayDeletes(take, { mayReturn: doubtful, delayMs: renewalTime }, either), either),
        ...(document === undefined ? [] : [reflector.follow(document, takeDocument, either)]),
      ]);
    } finally {
      end.abort();
      handed.end();
    }
  };
  return Object.assign(follow, { status: () => statusOf(connected, prefix) });
}

/**
 * Within this time a nerve notices that its lease is gone (a quarter of its TTL) and announces again, even if the member
 * it talks to does not answer and another one has to be tried. Milliseconds.
 */
const renewalTime = 6_000;
/**
 * For so long after an election a former leader that was frozen or cut off may come back and revoke leases that are kept
 * alive elsewhere, before it learns that it leads no more (seen on 3.5.30 too, though more rarely). Milliseconds.
 */
const unsettled = 15 * 60_000;

/** Without the keys of other services that are below the same path. */
function onlyMatching(change: PrefixChange, prefix: string, pattern: RegExp): PrefixChange {
  return { ...change, changed: change.changed.filter(({ key }) => pattern.test(key.slice(prefix.length))) };
}

/** What all sources of one cluster share. */
interface Connection {
  readonly client: EtcdClient;
  readonly reflector: Reflector;
}

function statusOf(connected: Connection | undefined, prefix: string): SourceStatus {
  if (connected === undefined) return { reason: 'has not connected yet', age: null };
  const { denied, reason, age } = connected.reflector.status;
  const refused = Object.hasOwn(denied, prefix) ? denied[prefix] : undefined;
  // Before the first answer, single failed tries are all there is to tell.
  const tries = age === null ? connected.client.status.reason : null;
  return { reason: refused ?? reason ?? tries, age };
}

/** The `etcd` section, with what is given here in place of its own. */
function clusterOf(options: EtcdSourceOptions, etcd: EtcdOptions): EtcdOptions {
  const { hosts, host, port, ...own } = options;
  if (hosts !== undefined && host !== undefined) throw new Error('hosts and host: give one of them');
  if (host === undefined && port !== undefined) throw new Error('port: goes with host');
  const cluster: EtcdOptions = { ...etcd, ...(hosts !== undefined && { hosts }), ...pick(own) };
  if (host === undefined) return cluster;
  const address = host.includes(':') ? `[${host}]` : host;
  return { ...cluster, hosts: [`${cluster.tls ? 'https' : 'http'}://${address}:${port ?? 2379}`] };
}

function pick({ tls, username, password }: EtcdSourceOptions): Partial<EtcdOptions> {
  return {
    ...(tls !== undefined && { tls }),
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
  };
}

/** Equal for equal clusters and credentials; shows neither. */
function clusterKey(cluster: EtcdOptions): string {
  return `etcd ${createHash('sha256').update(JSON.stringify(cluster)).digest('hex')}`;
}

/** One slash at the start, none at the end: what follows the path must be a whole segment. */
function readPath(value: unknown): string {
  const path = typeof value === 'string' ? `/${value.replace(/^\/+|\/+$/g, '')}` : '';
  if (path.length < 2 || path.length > 1024) throw new Error('must be a path in etcd, such as /nerve/services/api');
  return path;
}
