import { onAbort } from '../../../../common/async/abort.ts';
import { clock } from '../../../../common/async/clock.ts';
import { sleep } from '../../../../common/async/sleep.ts';
import type { ZookeeperSession } from '../../../../common/zookeeper/session.ts';
import { decodeName } from './records.ts';

/** What to follow, and how often to read. */
export interface FollowOptions {
  readonly path: string;
  /** Shortest time between two lists, milliseconds. */
  readonly pauseMs: number;
  /** How often to read everything again even without a reported change, milliseconds. */
  readonly intervalMs: number;
}

/** How many nodes are requested at once. */
const batchSize = 200;

/**
 * Calls `onNodes` with the children of a node and their data, at once and after every change, until `signal` aborts.
 * @throws when the session ends or a node may not be read
 */
export async function followChildren(
  session: ZookeeperSession,
  { path, pauseMs, intervalMs }: FollowOptions,
  onNodes: (nodes: ReadonlyMap<string, Buffer>) => void,
  signal: AbortSignal,
): Promise<void> {
  const known = new Map<string, Buffer>();
  const stale = new Set<string>();
  let readAt = Number.NEGATIVE_INFINITY;
  /** One function for each child, so that reading it again does not add another watcher. */
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
      // The child was deleted after the list; the next list will not have it.
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
    const all = clock.now() - readAt >= intervalMs;
    if (all) readAt = clock.now();
    const wanted = [...listed].filter((name) => all || stale.has(name) || !known.has(name));
    for (let i = 0; i < wanted.length; i += batchSize) await Promise.all(wanted.slice(i, i + batchSize).map(read));
    onNodes(known);
    if (pauseMs > 0) await sleep(pauseMs, signal);
    await sleep(Math.max(0, readAt + intervalMs - clock.now()), awake);
  });
}

/**
 * Calls `onData` with the data of a node, undefined when there is no node, at once and after every change, until `signal`
 * aborts.
 * @throws when the session ends or the node may not be read
 */
export async function followData(
  session: ZookeeperSession,
  { path, intervalMs }: Pick<FollowOptions, 'path' | 'intervalMs'>,
  onData: (data: Buffer | undefined) => void,
  signal: AbortSignal,
): Promise<void> {
  await repeat(session, signal, async (wake, awake) => {
    let data: Buffer | undefined;
    do data = await session.data(path, wake);
    while (data === undefined && (await session.exists(path, wake)));
    onData(data);
    await sleep(intervalMs, awake);
  });
}

/** The children of a node; none while the node does not exist, whose creation is a change. */
async function listChildren(session: ZookeeperSession, path: string, onChange: () => void): Promise<readonly string[]> {
  for (;;) {
    const names = await session.children(path, onChange);
    if (names !== undefined) return names;
    if (!(await session.exists(path, onChange))) return [];
  }
}

/** Runs `round` again and again. `wake` aborts the `awake` of the current round, also when it was handed to an earlier round. */
async function repeat(
  session: ZookeeperSession,
  signal: AbortSignal,
  round: (wake: () => void, awake: AbortSignal) => Promise<void>,
): Promise<void> {
  let awake = new AbortController();
  const wake = (): void => awake.abort();
  const releases = [onAbort(signal, wake), onAbort(session.ended, wake)];
  try {
    while (!signal.aborted) {
      if (session.ended.aborted) throw session.ended.reason;
      awake = new AbortController();
      await round(wake, awake.signal);
    }
  } finally {
    for (const release of releases) release();
  }
}
