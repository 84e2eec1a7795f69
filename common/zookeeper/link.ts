import { jittered } from '../async/backoff.ts';
import { clock } from '../async/clock.ts';
import { sleep } from '../async/sleep.ts';
import { openSession, type ZookeeperSession } from './session.ts';

/** One session at a time for everyone who reads from the same ensemble. */
export interface ZookeeperLink {
  /** The open session, or a new one on any of the servers. @throws when none can be opened; asking again tries again */
  session(): Promise<ZookeeperSession>;
  /** When a server was last heard of, in milliseconds of `clock.now()`; null before. */
  readonly heardAt: number | null;
}

/** `hosts` are `HOST:PORT`, `[ADDRESS]:PORT`; the port may be left out. Opens nothing by itself. */
export function createZookeeperLink(
  hosts: readonly string[],
  options: { readonly timeout: number },
  signal: AbortSignal,
): ZookeeperLink {
  let current: Promise<ZookeeperSession> | undefined;
  let last: ZookeeperSession | undefined;
  let failures = 0;
  // A fleet that starts together does not all go to the first server.
  let next = Math.floor(clock.random() * hosts.length);

  const open = async (): Promise<ZookeeperSession> => {
    // However many ask: a server that is away is not asked by each of them.
    if (failures > 0) await sleep(jittered({ baseMs: 500, maxMs: 5_000 }, failures - 1), signal);
    const { host, port } = parseHost(hosts[next++ % hosts.length] ?? '');
    try {
      last = await openSession({ host, port, timeout: options.timeout }, signal);
      failures = 0;
      last.ended.addEventListener('abort', forget, { once: true });
      return last;
    } catch (error) {
      failures += 1;
      forget();
      throw error;
    }
  };
  const forget = (): void => {
    current = undefined;
  };
  return {
    session() {
      current ??= open();
      return current;
    },
    get heardAt() {
      return last?.heardAt ?? null;
    },
  };
}

/** @throws when it is no such address; 2181 is ZooKeeper's own port */
export function parseHost(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:/[\]\s]+))(?::(\d{1,5}))?$/.exec(text);
  const port = Number(match?.[3] ?? 2181);
  if (match === null || port < 1 || port > 65535) throw new Error(`${JSON.stringify(text)}: must be HOST:PORT`);
  return { host: match[1] ?? match[2] ?? '', port };
}
