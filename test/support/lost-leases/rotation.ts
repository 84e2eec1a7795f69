import { sleep } from '../../../common/async/sleep.ts';
import type { TestHaproxy } from '../haproxy/haproxy.ts';

/** What HAProxy did with an address; times are in milliseconds of `performance.now()`. */
interface Seen {
  /** When it was last in use. */
  readonly lastAt: number;
  /** When it came into use again after it was not. */
  readonly returnedAt: readonly number[];
}

/** From one look at HAProxy to the next, in milliseconds. */
const everyMs = 100;
/** Administrative states of `show servers state`: maintenance and drain (management guide, section 9.3). */
const outOfUse = 0x01 | 0x02 | 0x20 | 0x08 | 0x10;

/** Records which servers of a backend HAProxy uses. */
export class Rotation {
  readonly #haproxy: TestHaproxy;
  readonly #backend: string;
  readonly #seen = new Map<string, Seen>();
  #inUse: ReadonlySet<string> = new Set();
  #fewest = Number.POSITIVE_INFINITY;

  constructor(haproxy: TestHaproxy, backend: string) {
    this.#haproxy = haproxy;
    this.#backend = backend;
  }

  /** Addresses, `host:port`, that get requests now: not in maintenance, not drained, and not DOWN. */
  async now(): Promise<ReadonlySet<string>> {
    const servers = [...(await this.#haproxy.servers()).values()].filter(
      ({ be_name, srv_admin_state, srv_op_state }) =>
        be_name === this.#backend && (Number(srv_admin_state) & outOfUse) === 0 && srv_op_state !== '0',
    );
    return new Set(servers.map(({ srv_addr, srv_port }) => `${srv_addr}:${srv_port}`));
  }

  /** Looks until `signal` aborts. */
  async record(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const inUse = await this.now().catch(() => undefined);
      if (inUse !== undefined) this.#take(inUse);
      await sleep(everyMs, signal);
    }
  }

  /** The number of servers in use counts from now on. */
  count(): void {
    this.#fewest = this.#inUse.size;
  }

  /** The smallest number of servers in use since {@link count}. */
  get fewest(): number {
    return this.#fewest;
  }

  /** When an address was last in use, in milliseconds of `performance.now()`; undefined when it is now. */
  leftAt(address: string): number | undefined {
    return this.#inUse.has(address) ? undefined : (this.#seen.get(address)?.lastAt ?? 0);
  }

  /** How often an address came into use again after this time, in milliseconds of `performance.now()`. */
  returnsOf(address: string, since: number): number {
    return this.#seen.get(address)?.returnedAt.filter((at) => at > since).length ?? 0;
  }

  #take(inUse: ReadonlySet<string>): void {
    const lastAt = performance.now();
    for (const address of inUse) {
      const known = this.#seen.get(address);
      const isBack = known !== undefined && !this.#inUse.has(address);
      const returnedAt = known?.returnedAt ?? [];
      this.#seen.set(address, { lastAt, returnedAt: isBack ? [...returnedAt, lastAt] : returnedAt });
    }
    this.#inUse = inUse;
    this.#fewest = Math.min(this.#fewest, inUse.size);
  }
}
