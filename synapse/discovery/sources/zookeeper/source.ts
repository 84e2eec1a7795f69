import { abortable, linkAbort } from '../../../../common/async/abort.ts';
import { clock } from '../../../../common/async/clock.ts';
import type { Schema } from '../../../../common/config/config.ts';
import { anyText, type JsonSchema, oneOrList, textLike } from '../../../../common/config/json-values.ts';
import { digest } from '../../../../common/digest.ts';
import type { Instance } from '../../../../common/instance.ts';
import { isLoopbackHost } from '../../../../common/net/ip-words.ts';
import { checkTlsClient, type TlsClientOptions, tlsClientSchema as tls } from '../../../../common/net/tls-client.ts';
import { readPasswordFile } from '../../../../common/password-file.ts';
import { readDocument } from '../../../../common/published.ts';
import { listed } from '../../../../common/wording.ts';
import type { ZookeeperAccess, ZookeeperSession } from '../../../../common/zookeeper/session.ts';
import { parseHost, SharedSession } from '../../../../common/zookeeper/shared-session.ts';
import type { OptionWarning, Publish, Source, SourceContext } from '../../../source.ts';
import { type InstanceSetBuilder, SetPublisher } from '../../instance-set-builder.ts';
import { WithPublished, warnOfPublishedPath } from '../../with-published.ts';
import { followChildren, followData } from './follow.ts';
import { type Decode, readDecode, readNodes } from './records.ts';

/** Options of all sources that read from ZooKeeper. */
export interface ZookeeperOptions extends TlsClientOptions {
  readonly hosts: readonly string[];
  readonly path: string;
  readonly decode: Decode;
  readonly session_timeout: number;
  readonly polling_interval_sec: number;
  readonly discovery_jitter: number;
  /** Without it, no configuration is read. */
  readonly generator_config_path?: string | null;
  readonly retry_policy?: Readonly<Record<string, unknown>>;
  readonly ssl: boolean;
  readonly username: string | null;
  readonly password: string | null;
  readonly password_file: string | null;
}

const decode: JsonSchema = {
  type: 'object',
  properties: { method: { enum: ['nerve', 'serverset'] }, endpoint_name: { type: ['string', 'null'] } },
  required: ['method'],
  additionalProperties: false,
};

/** Their schema. */
export const zookeeperSchema: Schema<ZookeeperOptions> = {
  hosts: {
    doc: 'Servers of the ensemble, HOST:PORT.',
    format: readHosts,
    json: oneOrList(anyText, { minItems: 1 }),
    type: 'hosts',
    default: null,
  },
  path: { doc: 'The node whose children are the instances.', format: readPath, json: textLike('[^/]'), default: null },
  decode: {
    doc: 'Format of the nodes: {method: nerve}, or {method: serverset, endpoint_name: NAME}.',
    format: readDecode,
    json: decode,
    type: 'object',
    default: { method: 'nerve' },
  },
  session_timeout: {
    doc: 'Session timeout; synapse gives up a server that sends nothing for two thirds of it.',
    format: 'positive-duration',
    default: 10_000,
  },
  polling_interval_sec: {
    doc: 'How often to read everything again even without a reported change.',
    format: 'duration',
    default: 60_000,
  },
  discovery_jitter: {
    doc: 'Shortest time between two lists; changes in between are read together. Values over 120 s are ignored.',
    format: 'duration',
    default: 0,
  },
  generator_config_path: {
    doc: 'Node with a JSON object whose haproxy section goes over the local one. Default: none is read. SmartStack read that of path: name the same path here if only operators may write it.',
    format: (value) => (value === 'disabled' ? value : readPath(value)),
    json: textLike('[^/]'),
    type: 'path',
    nullable: true,
    default: undefined,
  },
  retry_policy: {
    doc: 'Accepted from older configurations and ignored; retries need no settings.',
    format: 'object',
    default: undefined,
  },
  ssl: { doc: "Use TLS, as on ZooKeeper's secureClientPort.", format: 'boolean', default: false },
  ssl_verify: {
    ...tls.ssl_verify,
    doc: 'With ssl: refuse a certificate that is not trusted, or that names another host.',
  },
  ssl_ca: { ...tls.ssl_ca, doc: 'File with the authorities to trust (PEM); default those that Node trusts.' },
  ssl_cert: { ...tls.ssl_cert, doc: "File with synapse's own certificate (PEM), for servers that require one." },
  ssl_key: { ...tls.ssl_key, doc: 'File with the key of ssl_cert (PEM).' },
  ssl_server_name: {
    ...tls.ssl_server_name,
    doc: 'Name to expect in the certificate; default the name or address in hosts.',
  },
  username: {
    doc: 'User of the scheme digest, for nodes whose access lists (ACL) name one.',
    format: 'optional-non-empty-string',
    default: null,
  },
  password: { doc: 'Password of that user.', format: 'optional-non-empty-string', default: null, sensitive: true },
  password_file: {
    doc: 'File with the password, instead of password. Read for each session, so that the password can be changed while synapse runs.',
    format: 'optional-non-empty-string',
    names: 'password file',
    default: null,
  },
};

/** The lower limit of `polling_interval_sec`. */
const shortestPollMs = 1_000;

/** A longer `discovery_jitter` is ignored with a warning, as in SmartStack. */
const longestPauseMs = 120_000;

/** A step between ZooKeeper and the catalog that changes the findings, such as the resolution of host names. */
export interface Stage {
  /**
   * Begins a run. @returns a function that takes the newest findings; `publish` gets the result for them, and again when the
   * result changes, until `signal` aborts.
   */
  start(publish: (found: InstanceSetBuilder) => void, signal: AbortSignal): (found: InstanceSetBuilder) => void;
  /** True when an instance that has vanished was removed together with its node. */
  leased(instance: Instance): boolean;
  /** Why the result may be out of date; null: it is current. */
  reason(): string | null;
}

const passThrough: Stage = { start: (publish) => publish, leased: () => true, reason: () => null };

/** Reads the password; undefined when the options have none. @throws when they have two */
function passwordOf({ password, password_file: file }: ZookeeperOptions): (() => string) | undefined {
  if (password !== null && file !== null) throw new Error('set only one of password and password_file');
  if (file !== null) return () => readPasswordFile(file);
  return password === null ? undefined : () => password;
}

/** @throws when the options make no sense together */
function accessOf(options: ZookeeperOptions): ZookeeperAccess {
  const { ssl, ssl_verify, ssl_ca, ssl_cert, ssl_key, ssl_server_name, username: name } = options;
  const files = { ssl_verify, ssl_ca, ssl_cert, ssl_key, ssl_server_name };
  checkTlsClient(files);
  if (!ssl && (ssl_ca ?? ssl_cert ?? ssl_server_name) !== null)
    throw new Error('ssl_ca, ssl_cert and ssl_server_name need ssl: true');
  const password = passwordOf(options);
  if ((name === null) !== (password === undefined)) {
    throw new Error('username and password (or password_file) go together: give both or none');
  }
  if (name?.includes(':')) throw new Error('username must not have a colon in it');
  return {
    tls: ssl ? files : undefined,
    user: name === null || password === undefined ? undefined : { name, password },
  };
}

/** Follows the children of a node and the configuration beside them. */
export function createZookeeperSource(options: ZookeeperOptions, context: SourceContext, stage = passThrough): Source {
  const { hosts, path, session_timeout: timeout, discovery_jitter: jitter } = options;
  const pauseMs = jitter <= longestPauseMs ? jitter : 0;
  if (jitter > longestPauseMs) {
    context.log.warn('discovery_jitter is ignored, because it is longer than 120 s', { seconds: jitter / 1000 });
  }
  const access = accessOf(options);
  const { username, password, password_file } = options;
  const user = [username, password, password_file];
  const key = `zookeeper ${digest(JSON.stringify([hosts.toSorted(), timeout, access.tls, user]))}`;
  const intervalMs = Math.max(shortestPollMs, options.polling_interval_sec);
  const document = documentOf(options);
  const publisher = new SetPublisher(context, { leased: stage.leased });
  const joined = new WithPublished(document, context);
  let shared: SharedSession | undefined;
  let connected = false;
  let looked = options.generator_config_path === 'disabled' || document !== undefined;

  const follow = async (publish: Publish, signal: AbortSignal): Promise<void> => {
    if (signal.aborted) return;
    shared = context.shared(key, (end) => new SharedSession(hosts, { timeoutMs: timeout, access }, end));
    const handed = joined.start(publish);
    const end = linkAbort(signal);
    const takeDocument = (data: Buffer | undefined): void => {
      // Nodes that exist only for their children are usually empty.
      const text = data?.length === 0 ? undefined : data;
      handed.take(text, text?.toString('latin1'), clock.now());
    };
    try {
      const session = await abortable(shared.open(), signal);
      connected = true;
      if (!looked) {
        looked = true;
        void tellOfUnused(session, path, context);
      }
      const publishFound = stage.start(
        publisher.start((set) => handed.publish(set)),
        end.signal,
      );
      await Promise.all([
        followChildren(
          session,
          { path, pauseMs, intervalMs },
          (nodes) => publishFound(readNodes(nodes, options)),
          end.signal,
        ),
        ...(document === undefined
          ? []
          : [followData(session, { path: document, intervalMs }, takeDocument, end.signal)]),
      ]);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      connected = false;
      end.abort();
      end.release();
      handed.end();
    }
  };
  return Object.assign(follow, {
    status() {
      const heardAt = shared?.heardAt ?? null;
      return {
        reason: connected ? stage.reason() : 'not connected to ZooKeeper',
        age: heardAt === null ? null : clock.now() - heardAt,
      };
    },
  });
}

/** The node that has the configuration; undefined when none is read. */
function documentOf({ generator_config_path: path }: ZookeeperOptions): string | undefined {
  return path === 'disabled' || path === null ? undefined : path;
}

/** What may do harm in the options of all sources that read from ZooKeeper. */
export function zookeeperWarnings(options: ZookeeperOptions, service: string): readonly OptionWarning[] {
  const { hosts, ssl, password, password_file: file } = options;
  const open =
    ssl || (password ?? file) === null ? [] : hosts.filter((address) => !isLoopbackHost(parseHost(address).host));
  const message = `goes over the network without encryption to ${listed(open)}; use ssl: true`;
  return [
    ...warnOfPublishedPath({ where: documentOf(options), instancesAt: options.path }, service),
    ...(open.length === 0 ? [] : [{ option: password === null ? 'password_file' : 'password', message }]),
  ];
}

/** Says once that the node of the service has a configuration, which SmartStack used and synapse does not read. */
async function tellOfUnused(session: ZookeeperSession, path: string, { log }: SourceContext): Promise<void> {
  try {
    const data = await session.data(path);
    if (data === undefined || data.length === 0) return;
    readDocument(path, data);
  } catch {
    // Not a configuration, or not to be read: there is nothing to say.
    return;
  }
  const option = `generator_config_path: ${path}`;
  log.warn('the configuration in the node of the service is not used, because an option has to turn it on', { option });
}

function readHosts(value: unknown): readonly string[] {
  const list: unknown = typeof value === 'string' ? value.split(',').map((item) => item.trim()) : value;
  const message = 'must be a list of HOST:PORT';
  if (!Array.isArray(list) || list.length === 0) throw new Error(message);
  for (const item of list) {
    if (typeof item !== 'string') throw new Error(message);
    parseHost(item);
  }
  return list;
}

/** One slash at the start and none at the end, because ZooKeeper refuses empty segments. */
function readPath(value: unknown): string {
  const path = typeof value === 'string' ? `/${value.replace(/^\/+|\/+$/g, '')}` : '';
  if (path.length < 2 || path.includes('//')) throw new Error('must be a path, such as /smartstack/services/api');
  return path;
}
