import { linkAbort } from '../../../common/async/abort.ts';
import { anyText, textLike, wholeNumber } from '../../../common/config/json-values.ts';
import {
  checkEtcdOptions,
  type EtcdOptions,
  etcdSchema,
  plaintextWarning,
} from '../../../common/etcd/client/options.ts';
import { type Decode, decodeJson, readDecode } from '../../../common/etcd/records/decode.ts';
import { inspectRecords } from '../../../common/etcd/records/inspect.ts';
import { type RecordRules, readEntry, usualRecordBytes } from '../../../common/etcd/records/record-rules.ts';
import { Records } from '../../../common/etcd/records/records.ts';
import { etcdFolder, readEtcdPath } from '../../../common/etcd/records/service-folder.ts';
import type { JudgedFollower } from '../../../common/etcd/watch/judged-deletes.ts';
import type { OnChange, PrefixChange } from '../../../common/etcd/watch/prefix-state.ts';
import { globPattern } from '../../../common/glob.ts';
import { maxRecordBytes } from '../../../common/instance.ts';
import type { InspectRequest, Source, SourceContext, SourcePlugin, SourceStatus } from '../../source.ts';
import { clusterKey, type EtcdConnection, sharedConnection } from '../etcd-connection.ts';
import { WithPublished, warnOfPublishedPath } from '../with-published.ts';

/** Options of `method: etcd`. The top-level `etcd` section has the defaults for the connection. */
export interface EtcdSourceOptions {
  readonly path?: string;
  readonly leading_slash?: boolean;
  readonly generator_config_path?: string;
  readonly keys?: string;
  readonly decode?: Decode;
  readonly max_record_bytes?: number;
  readonly require_lease?: boolean;
  readonly hosts?: EtcdOptions['hosts'];
  readonly host?: string;
  readonly port?: number;
  /** Null, here and below: none, even if the section has one. */
  readonly tls?: EtcdOptions['tls'];
  readonly username?: string | null;
  readonly password?: string | null;
  readonly password_file?: string | null;
}

/** The source `etcd`. */
export const source: SourcePlugin<EtcdSourceOptions> = {
  description: 'Follows the instances that nerve announces in etcd: every key below a path, at any depth.',
  schema: {
    path: {
      doc: 'Path of the keys of the service, default /nerve/services/<service>. A slash in front is added where it is missing, see leading_slash.',
      format: readEtcdPath,
      json: textLike('[^/]'),
      type: 'path',
      default: undefined,
    },
    leading_slash: {
      doc: 'Whether a slash is in front of the keys. Some programs write none: with false, the path services/api is read as it is.',
      format: 'boolean',
      default: true,
    },
    generator_config_path: {
      doc: 'Key of a JSON object whose haproxy section goes over the local one, such as /smartstack/config/<service>, where only operators may write; disabled: none.',
      format: (value) => (value === 'disabled' ? value : readEtcdPath(value)),
      json: textLike('[^/]'),
      type: 'path',
      default: undefined,
    },
    keys: {
      doc: 'Pattern of the keys of this service, when the path has several services: * is any text without a slash, ** any text.',
      format: 'non-empty-string',
      default: undefined,
    },
    decode: {
      doc: 'How to read values that nerve did not write: {method: json, host: PATH, port: PATH}, or {method: address}. {method: nerve, any_key: true} also takes records whose keys do not end in their own names.',
      format: readDecode,
      json: decodeJson,
      type: 'object',
      default: undefined,
    },
    max_record_bytes: {
      doc: 'Size of the largest record that is read, up to 65536.',
      format: readRecordBytes,
      json: wholeNumber({ minimum: 1, maximum: maxRecordBytes }),
      type: 'bytes',
      default: usualRecordBytes,
    },
    require_lease: {
      doc: 'Refuse records without a lease, such as those written with etcdctl, which stay for good when their announcer dies.',
      format: 'boolean',
      default: false,
    },
    hosts: {
      ...etcdSchema.hosts,
      doc: 'Addresses of another cluster than the one in the etcd section.',
      default: undefined,
    },
    host: { doc: 'A single address, as in older configurations; used with port.', format: 'host', default: undefined },
    port: { doc: 'Port of host.', format: 'port', default: undefined },
    tls: { ...etcdSchema.tls, default: undefined },
    username: {
      doc: 'User, when the cluster has authentication enabled.',
      format: 'optional-string',
      default: undefined,
    },
    password: { doc: 'Password of that user.', format: 'optional-string', default: undefined, sensitive: true },
    password_file: { ...etcdSchema.password_file, default: undefined },
  },
  json: [{ not: { required: ['host', 'hosts'], properties: { host: anyText } } }],
  create,
  inspect,
  warnings: (options, service) => {
    const instancesAt = prefixOf(options, service).slice(0, -1);
    return warnOfPublishedPath({ where: options.generator_config_path, instancesAt }, service);
  },
};

async function inspect(options: EtcdSourceOptions, { service, etcd, log, timeoutMs }: InspectRequest) {
  const { keys } = options;
  const cluster = clusterOf(options, etcd);
  return inspectRecords(cluster, prefixOf(options, service), {
    rules: rulesOf(options),
    log,
    timeoutMs,
    ...(keys !== undefined && { keys: globPattern(keys) }),
  });
}

function prefixOf(options: EtcdSourceOptions, service: string): string {
  return `${etcdFolder(options, service)}/`;
}

function rulesOf({ decode, max_record_bytes, require_lease }: EtcdSourceOptions): RecordRules {
  return {
    decode: decode ?? { method: 'nerve' },
    maxBytes: max_record_bytes ?? usualRecordBytes,
    requireLease: require_lease === true,
  };
}

function create(options: EtcdSourceOptions, context: SourceContext): Source {
  const { service } = context;
  const cluster = clusterOf(options, context.etcd);
  checkEtcdOptions(cluster);
  // For the cluster of the etcd section, the configuration has its own warning.
  const warning = options.hosts === undefined && options.host === undefined ? null : plaintextWarning(cluster);
  if (warning !== null) context.log.warn('etcd can be read by others', { reason: warning });
  const prefix = prefixOf(options, service);
  const { keys, generator_config_path } = options;
  const rules = rulesOf(options);
  const pattern = keys === undefined ? undefined : globPattern(keys);
  const records = new Records((entry) => readEntry(entry, rules), {
    onRejected: (record, origin) => context.rejected(record, origin),
    onDropped: (record, origin) => context.dropped(record, origin),
    onGone: (id, how, origin) => context.gone(id, how, origin),
  });

  const document = generator_config_path === 'disabled' ? undefined : generator_config_path;
  const joined = new WithPublished(document, context);
  let connected: EtcdConnection | undefined;
  const follow: Source = async (publish, signal) => {
    connected = sharedConnection(cluster, context);
    const { reflector, judge } = connected;
    let first = true;
    const handed = joined.start(publish);
    const take: OnChange = (all) => {
      const change = pattern === undefined ? all : onlyMatching(all, prefix, pattern);
      const set = records.apply(change) ?? (first ? records.set() : undefined);
      first = false;
      if (set !== undefined) handed.publish({ ...set, unique: true, revision: change.revision, seenAt: change.seenAt });
    };
    const takeDocument = ({ entries, seenAt }: PrefixChange): void => {
      // The watch also has longer keys with this prefix.
      const entry = document === undefined ? undefined : entries.get(document);
      handed.take(entry?.value, entry?.modRevision, seenAt);
    };
    const reads: JudgedFollower = {
      saidDown: (deleted) => records.saidDown(deleted),
      addressOf: (entry) => records.addressOf(entry),
    };
    const end = linkAbort(signal);
    try {
      await Promise.all([
        reflector.follow(prefix, judge.follow(take, reads, end.signal), end.signal),
        ...(document === undefined ? [] : [reflector.follow(document, takeDocument, end.signal)]),
      ]);
    } finally {
      end.abort();
      end.release();
      handed.end();
    }
  };
  const place = { cluster: clusterKey(cluster), path: prefix.slice(0, -1) };
  return Object.assign(follow, { status: () => statusOf(connected, prefix), places: () => [place] });
}

/** The change without the keys of other services below the same path. */
function onlyMatching(change: PrefixChange, prefix: string, pattern: RegExp): PrefixChange {
  return { ...change, changed: change.changed.filter(({ key }) => pattern.test(key.slice(prefix.length))) };
}

function statusOf(connected: EtcdConnection | undefined, prefix: string): SourceStatus {
  if (connected === undefined) return { reason: 'has not connected yet', age: null };
  const { denied, reason, ageMs: age } = connected.reflector.status;
  const refused = Object.hasOwn(denied, prefix) ? denied[prefix] : undefined;
  // Before the first answer, only single attempts can have failed.
  const tries = age === null ? connected.client.status.reason : null;
  return { reason: refused ?? reason ?? tries, age };
}

/** The `etcd` section, overridden by the source's own options. */
function clusterOf(options: EtcdSourceOptions, etcd: EtcdOptions): EtcdOptions {
  const { hosts, host, port, ...own } = options;
  if (hosts !== undefined && host !== undefined) throw new Error('hosts and host: set only one of them');
  if (host === undefined && port !== undefined) throw new Error('port: is used only with host');
  const cluster: EtcdOptions = { ...etcd, ...(hosts !== undefined && { hosts }), ...pick(own) };
  if (host === undefined) return cluster;
  const address = host.includes(':') ? `[${host}]` : host;
  return { ...cluster, hosts: [`${cluster.tls ? 'https' : 'http'}://${address}:${port ?? 2379}`] };
}

function pick({ tls, username, password, password_file }: EtcdSourceOptions): Partial<EtcdOptions> {
  const hasPassword = password !== undefined || password_file !== undefined;
  return {
    ...(tls !== undefined && { tls }),
    ...(username !== undefined && { username }),
    // Either of them replaces both of the section.
    ...(hasPassword && { password: password ?? null, password_file: password_file ?? null }),
  };
}

function readRecordBytes(value: unknown): number {
  const bytes = typeof value === 'string' && /^\d{1,6}$/.test(value) ? Number(value) : value;
  if (typeof bytes === 'number' && Number.isInteger(bytes) && bytes >= 1 && bytes <= maxRecordBytes) return bytes;
  throw new Error(`must be a whole number of bytes from 1 to ${maxRecordBytes}`);
}
