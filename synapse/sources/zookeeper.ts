import { isObject } from '../../common/formats.ts';
import { type Instance, InvalidRecord, makeInstance, parseInstance } from '../../common/instance.ts';
import { sleep } from '../../common/supervise.ts';
import { createZookeeperLink, parseHost, type ZookeeperLink } from '../../common/zookeeper/link.ts';
import type { ZookeeperSession } from '../../common/zookeeper/session.ts';
import { createPublisher, Findings } from '../findings.ts';
import type { Source, SourceContext, SourcePlugin } from '../source.ts';

/** Options of `method: zookeeper`. */
export interface ZookeeperOptions {
  readonly hosts: readonly string[];
  readonly path: string;
  readonly decode: Decode;
  readonly session_timeout: number;
  readonly polling_interval_sec: number;
  readonly discovery_jitter: number;
  readonly generator_config_path: 'disabled' | null;
  readonly retry_policy?: Readonly<Record<string, unknown>>;
}

/** How the data of a node reads. */
interface Decode {
  readonly method: 'nerve' | 'serverset';
  /** Serversets: one of the additional endpoints, in place of the main one. */
  readonly endpoint_name?: string;
}

export const source: SourcePlugin<ZookeeperOptions> = {
  description: 'Follows what nerve or a Finagle server announces in ZooKeeper.',
  schema: {
    hosts: { doc: 'Servers of the ensemble, HOST:PORT.', format: readHosts, default: null },
    path: { doc: 'The node whose children are the instances.', format: readPath, default: null },
    decode: {
      doc: 'What the nodes hold: {method: nerve}, or {method: serverset, endpoint_name: NAME}.',
      format: readDecode,
      default: { method: 'nerve' },
    },
    session_timeout: {
      doc: 'A server that is silent for two thirds of this is given up.',
      format: 'positive-duration',
      default: 10_000,
    },
    polling_interval_sec: {
      doc: 'How often to read everything again, whatever ZooKeeper told of changes.',
      format: 'duration',
      default: 60_000,
    },
    discovery_jitter: {
      doc: 'Shortest time between two lists: changes within it are read together.',
      format: 'duration',
      default: 0,
    },
    generator_config_path: {
      doc: "A service's configuration is not read from ZooKeeper: only 'disabled' has a meaning.",
      format: ['disabled', null],
      nullable: true,
      default: undefined,
    },
    retry_policy: {
      doc: 'Accepted from older configurations; retries need no settings here.',
      format: 'object',
      default: undefined,
    },
  },
  example: { hosts: ['127.0.0.1:9'], path: '/smartstack/services/api' },
  create,
};

/** At most so many requests for nodes at a time. */
const batch = 200;
/** Two lists are at least so far apart, milliseconds, whatever the options say. */
const shortestPoll = 1_000;

function create(options: ZookeeperOptions, context: SourceContext): Source {
  const { hosts, session_timeout: timeout } = options;
  const key = `zookeeper ${JSON.stringify([hosts.toSorted(), timeout])}`;
  const publisher = createPublisher(context, { leased: true });
  let link: ZookeeperLink | undefined;
  let connected = false;

  const follow: Source = async (publish, signal) => {
    if (signal.aborted) return;
    link = context.shared(key, (end) => createZookeeperLink(hosts, { timeout }, end));
    const hand = publisher.start(publish);
    const onNodes = (nodes: ReadonlyMap<string, Buffer>): void => {
      hand(readNodes(nodes, options));
    };
    const stopped = new Promise<undefined>((resolve) => {
      signal.addEventListener('abort', () => resolve(undefined), { once: true });
    });
    const session = await Promise.race([link.session(), stopped]);
    if (session === undefined) return;
    connected = true;
    try {
      await followChildren(session, options, onNodes, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      connected = false;
    }
  };
  return Object.assign(follow, {
    status() {
      const heardAt = link?.heardAt ?? null;
      return {
        reason: connected ? null : 'not connected to ZooKeeper',
        age: heardAt === null ? null : performance.now() - heardAt,
      };
    },
  });
}

/**
 * Hands over the children of a node and what they hold, once and after every change, until `signal` aborts.
 * @throws when the session ends or a node may not be read
 */
async function followChildren(
  session: ZookeeperSession,
  options: ZookeeperOptions,
  onNodes: (nodes: ReadonlyMap<string, Buffer>) => void,
  signal: AbortSignal,
): Promise<void> {
  const { path, discovery_jitter: pause } = options;
  const interval = Math.max(shortestPoll, options.polling_interval_sec);
  const known = new Map<string, Buffer>();
  const stale = new Set<string>();
  let awake = new AbortController();
  const wake = (): void => awake.abort();
  signal.addEventListener('abort', wake, { once: true });
  session.ended.addEventListener('abort', wake, { once: true });
  /** The same function for the same child: asking again does not add another. */
  const callbacks = new Map<string, () => void>();
  const onChild = (name: string): (() => void) => {
    const callback =
      callbacks.get(name) ??
      (() => {
        stale.add(name);
        wake();
      });
    callbacks.set(name, callback);
    return callback;
  };
  const read = async (name: string): Promise<void> => {
    stale.delete(name);
    const encoded = decodeName(name);
    const data = encoded ?? (await session.data(`${path}/${name}`, onChild(name)));
    // Gone since it was listed: the list will tell.
    if (data === undefined) known.delete(name);
    else known.set(name, data);
  };

  try {
    let readAt = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      if (session.ended.aborted) throw session.ended.reason;
      awake = new AbortController();
      const names = await listChildren(session, path, wake);
      const listed = new Set(names);
      for (const name of [...known.keys()]) {
        if (listed.has(name)) continue;
        known.delete(name);
        callbacks.delete(name);
      }
      const all = performance.now() - readAt >= interval;
      if (all) readAt = performance.now();
      const wanted = names.filter((name) => all || stale.has(name) || !known.has(name));
      for (let i = 0; i < wanted.length; i += batch) await Promise.all(wanted.slice(i, i + batch).map(read));
      onNodes(known);
      if (pause > 0) await sleep(pause, signal);
      await sleep(Math.max(0, readAt + interval - performance.now()), awake.signal);
    }
  } finally {
    signal.removeEventListener('abort', wake);
    session.ended.removeEventListener('abort', wake);
  }
}

/** A node that does not exist yet has no children; its creation is a change. */
async function listChildren(session: ZookeeperSession, path: string, onChange: () => void): Promise<readonly string[]> {
  for (;;) {
    const names = await session.children(path, onChange);
    if (names !== undefined) return names;
    if (!(await session.exists(path, onChange))) return [];
  }
}

function readNodes(nodes: ReadonlyMap<string, Buffer>, { path, decode }: ZookeeperOptions): Findings {
  const found = new Findings();
  for (const [name, data] of [...nodes].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const where = `${path}/${name.length > 80 ? `${name.slice(0, 79)}…` : name}`;
    const read = decode.method === 'nerve' ? () => parseInstance(data) : () => readServerset(data, decode);
    // The sequence number that ZooKeeper gives a node; one without is as late as can be.
    const sequence = /_(\d+)$/.exec(name)?.[1];
    found.add(where, read, sequence === undefined ? Number.MAX_SAFE_INTEGER : Number(sequence));
  }
  return found;
}

/**
 * `base64_<length>_<record>_<sequence>`: nerve's `use_path_encoding` puts the record into the name, URL-safe. Undefined
 * when it is no such name, or holds no JSON.
 */
function decodeName(name: string): Buffer | undefined {
  const [head = '', digits = ''] = /^base64_(\d{1,6})_/.exec(name) ?? [];
  const end = head.length + Number(digits);
  if (head === '' || name[end] !== '_') return undefined;
  const data = Buffer.from(name.slice(head.length, end), 'base64url');
  try {
    JSON.parse(data.toString());
    return data;
  } catch {
    return undefined;
  }
}

/** A member of a Finagle serverset. */
function readServerset(data: Buffer, { endpoint_name: endpoint }: Decode): Instance {
  let member: unknown;
  try {
    member = JSON.parse(data.toString());
  } catch (error) {
    throw new InvalidRecord('not JSON', { cause: error });
  }
  if (!isObject(member)) throw new InvalidRecord('must be an object with serviceEndpoint');
  const { serviceEndpoint, additionalEndpoints, status = 'ALIVE', shard } = member;
  if (status !== 'ALIVE') throw new InvalidRecord(`status is ${String(status)}, not ALIVE`);
  const others = isObject(additionalEndpoints) ? additionalEndpoints : {};
  const chosen = endpoint === undefined ? serviceEndpoint : Object.hasOwn(others, endpoint) && others[endpoint];
  if (!isObject(chosen)) throw new InvalidRecord(`it has no endpoint ${endpoint ?? 'serviceEndpoint'}`);
  return makeInstance({
    name: typeof shard === 'number' || typeof shard === 'string' ? String(shard) : '',
    host: chosen.host as string,
    port: Number(chosen.port),
  });
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

/** One slash at the start, none at the end; ZooKeeper refuses empty segments. */
function readPath(value: unknown): string {
  const path = typeof value === 'string' ? `/${value.replace(/^\/+|\/+$/g, '')}` : '';
  if (path.length < 2 || path.includes('//')) throw new Error('must be a path, such as /smartstack/services/api');
  return path;
}

function readDecode(value: unknown): Decode {
  const { method, endpoint_name: endpoint, ...unknown } = isObject(value) ? value : {};
  if (method !== 'nerve' && method !== 'serverset') throw new Error('decode.method must be nerve or serverset');
  const [key] = Object.keys(unknown);
  if (key !== undefined) throw new Error(`unknown key ${key}; known are method, endpoint_name`);
  if (endpoint === undefined || endpoint === null) return { method };
  if (typeof endpoint !== 'string') throw new Error('decode.endpoint_name must be a string');
  return { method, endpoint_name: endpoint };
}
