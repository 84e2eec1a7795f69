import { clock } from '../../../../common/async/clock.ts';
import type { Schema } from '../../../../common/config/config.ts';
import type { Instance } from '../../../../common/instance.ts';
import { createZookeeperLink, parseHost, type ZookeeperLink } from '../../../../common/zookeeper/link.ts';
import type { Publish, Source, SourceContext } from '../../../source.ts';
import { createPublisher, type Findings } from '../../instance-set-builder.ts';
import { withDocument } from '../../with-published.ts';
import { followChildren, followData } from './follow.ts';
import { type Decode, readDecode, readNodes } from './records.ts';

/** Options of all methods that read from ZooKeeper. */
export interface ZookeeperOptions {
  readonly hosts: readonly string[];
  readonly path: string;
  readonly decode: Decode;
  readonly session_timeout: number;
  readonly polling_interval_sec: number;
  readonly discovery_jitter: number;
  /** Null: that node itself. */
  readonly generator_config_path: string | null;
  readonly retry_policy?: Readonly<Record<string, unknown>>;
}

export const zookeeperSchema: Schema<ZookeeperOptions> = {
  hosts: { doc: 'Servers of the ensemble, HOST:PORT.', format: readHosts, type: 'hosts', default: null },
  path: { doc: 'The node whose children are the instances.', format: readPath, default: null },
  decode: {
    doc: 'What the nodes hold: {method: nerve}, or {method: serverset, endpoint_name: NAME}.',
    format: readDecode,
    type: 'object',
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
    doc: 'Shortest time between two lists: changes within it are read together. Longer than 120 s is ignored.',
    format: 'duration',
    default: 0,
  },
  generator_config_path: {
    doc: 'Node with a JSON object whose haproxy section goes over the local one; default path itself; disabled: none.',
    format: (value) => (value === 'disabled' ? value : readPath(value)),
    type: 'path',
    nullable: true,
    default: undefined,
  },
  retry_policy: {
    doc: 'Accepted from older configurations; retries need no settings here.',
    format: 'object',
    default: undefined,
  },
};

/** Two lists are at least so far apart, milliseconds, whatever the options say. */
const shortestPoll = 1_000;

/** A longer `discovery_jitter` is ignored, with a warning, as in the original. Milliseconds. */
const longestPause = 120_000;

/** What happens to findings between ZooKeeper and the catalog. */
export interface Stage {
  /** Begins a run; `hand` takes what becomes of the newest findings, now and whenever that changes, until `signal` aborts. */
  start(hand: (found: Findings) => void, signal: AbortSignal): (found: Findings) => void;
  /** Whether an instance that is not there any more went with its node. */
  leased(instance: Instance): boolean;
  /** Why what was handed over may not be right; null: it is. */
  reason(): string | null;
}

const direct: Stage = { start: (hand) => hand, leased: () => true, reason: () => null };

/** Follows the children of a node and the configuration beside them. */
export function createZookeeperSource(options: ZookeeperOptions, context: SourceContext, stage = direct): Source {
  const { hosts, path, session_timeout: timeout, discovery_jitter: jitter } = options;
  const pause = jitter <= longestPause ? jitter : 0;
  if (jitter > longestPause) {
    context.log.warn('discovery_jitter is ignored: at most 120 s are taken', { seconds: jitter / 1000 });
  }
  const key = `zookeeper ${JSON.stringify([hosts.toSorted(), timeout])}`;
  const interval = Math.max(shortestPoll, options.polling_interval_sec);
  const documentPath = options.generator_config_path ?? path;
  const document = documentPath === 'disabled' ? undefined : documentPath;
  const publisher = createPublisher(context, { leased: stage.leased });
  const joined = withDocument(document, context);
  let link: ZookeeperLink | undefined;
  let connected = false;

  const follow = async (publish: Publish, signal: AbortSignal): Promise<void> => {
    if (signal.aborted) return;
    link = context.shared(key, (end) => createZookeeperLink(hosts, { timeout }, end));
    const stopped = new Promise<undefined>((resolve) => {
      signal.addEventListener('abort', () => resolve(undefined), { once: true });
    });
    const session = await Promise.race([link.session(), stopped]);
    if (session === undefined) return;
    connected = true;
    const handed = joined.start(publish);
    const end = new AbortController();
    const either = AbortSignal.any([signal, end.signal]);
    const hand = stage.start(publisher.start(handed.publish), either);
    const takeDocument = (data: Buffer | undefined): void => {
      // Nodes that only hold others are empty as a rule.
      const text = data?.length === 0 ? undefined : data;
      handed.take(text, text?.toString('latin1'), clock.now());
    };
    try {
      await Promise.all([
        followChildren(session, { path, pause, interval }, (nodes) => hand(readNodes(nodes, options)), either),
        ...(document === undefined ? [] : [followData(session, { path: document, interval }, takeDocument, either)]),
      ]);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      connected = false;
      end.abort();
      handed.end();
    }
  };
  return Object.assign(follow, {
    status() {
      const heardAt = link?.heardAt ?? null;
      return {
        reason: connected ? stage.reason() : 'not connected to ZooKeeper',
        age: heardAt === null ? null : clock.now() - heardAt,
      };
    },
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
