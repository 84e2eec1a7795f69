import { clock } from '../../../../common/async/clock.ts';
import { sleep } from '../../../../common/async/sleep.ts';
import type { ZookeeperSession } from '../../../../common/zookeeper/session.ts';
import { decodeName } from './records.ts';

export interface FollowOptions {
  readonly path: string;
  /** Shortest time between two lists, milliseconds. */
  readonly pause: number;
  /** How often to read everything again, whatever ZooKeeper told of changes, milliseconds. */
  readonly interval: number;
}

/** At most so many requests for nodes at a time. */
const batch = 200;

/**
 * Hands over the children of a node and what they hold, once and after every change, until `signal` aborts.
 * @throws when the session ends or a node may not be read
 */
export async function followChildren(
  session: ZookeeperSession,
  { path, pause, interval }: FollowOptions,
  onNodes: (nodes: ReadonlyMap<string, Buffer>) => void,
  signal: AbortSignal,
): Promise<void> {
  const known = new Map<string, Buffer>();
  const stale = new Set<string>();
  let readAt = Number.NEGATIVE_INFINITY;
  /** The same function for the same child: asking again does not add another. */
  const callbacks = new Map<string, () => void>();

  await repeat(session, signal, async (wake, awake) => {
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
      const data = decodeName(name) ?? (await session.data(`${path}/${name}`, onChild(name)));
      // Gone since it was listed: the list will tell.
      if (data === undefined) known.delete(name);
      else known.set(name, data);
    };
    const names = await listChildren(session, path, wake);
    const listed = new Set(names);
    for (const name of [...known.keys()]) {
      if (listed.has(name)) continue;
      known.delete(name);
      callbacks.delete(name);
    }
    const all = clock.now() - readAt >= interval;
    if (all) readAt = clock.now();
    const wanted = [...listed].filter((name) => all || stale.has(name) || !known.has(name));
    for (let i = 0; i < wanted.length; i += batch) await Promise.all(wanted.slice(i, i + batch).map(read));
    onNodes(known);
    if (pause > 0) await sleep(pause, signal);
    await sleep(Math.max(0, readAt + interval - clock.now()), awake);
  });
}

/**
 * Hands over what a node holds, undefined when there is none, once and after every change, until `signal` aborts.
 * @throws when the session ends or the node may not be read
 */
export async function followData(
  session: ZookeeperSession,
  { path, interval }: Pick<FollowOptions, 'path' | 'interval'>,
  onData: (data: Buffer | undefined) => void,
  signal: AbortSignal,
): Promise<void> {
  await repeat(session, signal, async (wake, awake) => {
    let data: Buffer | undefined;
    do data = await session.data(path, wake);
    while (data === undefined && (await session.exists(path, wake)));
    onData(data);
    await sleep(interval, awake);
  });
}

/** A node that does not exist yet has no children; its creation is a change. */
async function listChildren(session: ZookeeperSession, path: string, onChange: () => void): Promise<readonly string[]> {
  for (;;) {
    const names = await session.children(path, onChange);
    if (names !== undefined) return names;
    if (!(await session.exists(path, onChange))) return [];
  }
}

/** Round after round; each may end its sleep when `awake` aborts, which `wake` sees to, whenever it was handed out. */
async function repeat(
  session: ZookeeperSession,
  signal: AbortSignal,
  round: (wake: () => void, awake: AbortSignal) => Promise<void>,
): Promise<void> {
  let awake = new AbortController();
  const wake = (): void => awake.abort();
  signal.addEventListener('abort', wake, { once: true });
  session.ended.addEventListener('abort', wake, { once: true });
  try {
    while (!signal.aborted) {
      if (session.ended.aborted) throw session.ended.reason;
      awake = new AbortController();
      await round(wake, awake.signal);
    }
  } finally {
    signal.removeEventListener('abort', wake);
    session.ended.removeEventListener('abort', wake);
  }
}
