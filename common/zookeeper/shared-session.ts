import { onAbort } from '../async/abort.ts';
import { type Backoff, jittered } from '../async/backoff.ts';
import { clock } from '../async/clock.ts';
import { sleep } from '../async/sleep.ts';
import { openSession, type SessionOptions, type ZookeeperSession } from './session.ts';

const backoff: Backoff = { baseMs: 500, maxMs: 5_000 };

/** One session at a time for all readers of the same ensemble. Opens nothing until it is asked. */
export class SharedSession {
  readonly #hosts: readonly string[];
  readonly #options: Pick<SessionOptions, 'timeoutMs' | 'access'>;
  readonly #signal: AbortSignal;
  #current: Promise<ZookeeperSession> | undefined;
  #last: ZookeeperSession | undefined;
  #failures = 0;
  #nextHost: number;

  /** `hosts` are `HOST:PORT` or `[ADDRESS]:PORT`; the port may be left out. */
  constructor(hosts: readonly string[], options: Pick<SessionOptions, 'timeoutMs' | 'access'>, signal: AbortSignal) {
    this.#hosts = hosts;
    this.#options = options;
    this.#signal = signal;
    // Starts anywhere, so that a fleet that starts together does not connect to one server.
    this.#nextHost = Math.floor(clock.random() * hosts.length);
  }

  /** When a server was last heard, in milliseconds of `clock.now()`; null before the first time. */
  get heardAt(): number | null {
    return this.#last?.heardAt ?? null;
  }

  /** The open session, or a new one with the next server. @throws when it cannot be opened; a later call tries again */
  open(): Promise<ZookeeperSession> {
    this.#current ??= this.#connect();
    return this.#current;
  }

  async #connect(): Promise<ZookeeperSession> {
    // All callers share this wait, so that a server that is away gets one connection attempt and not one from each.
    if (this.#failures > 0) await sleep(jittered(backoff, this.#failures - 1), this.#signal);
    const { host, port } = parseHost(this.#hosts[this.#nextHost++ % this.#hosts.length] ?? '');
    try {
      const session = await openSession({ ...this.#options, host, port }, this.#signal);
      this.#last = session;
      this.#failures = 0;
      onAbort(session.ended, () => {
        this.#current = undefined;
      });
      return session;
    } catch (error) {
      this.#failures += 1;
      this.#current = undefined;
      throw error;
    }
  }
}

/** Splits `HOST:PORT`; without a port it is 2181, ZooKeeper's own. @throws when the text is no such address */
export function parseHost(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:/[\]\s]+))(?::(\d{1,5}))?$/.exec(text);
  const port = Number(match?.[3] ?? 2181);
  if (match === null || port < 1 || port > 65535) throw new Error(`${JSON.stringify(text)}: must be HOST:PORT`);
  return { host: match[1] ?? match[2] ?? '', port };
}
