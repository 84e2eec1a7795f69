import { sleep } from '../../../common/async/sleep.ts';
import type { TestHaproxy } from '../haproxy/haproxy.ts';

/** What HAProxy did with an address. */
interface Seen {
  /** When it was last in use, in milliseconds of `performance.now()`. */
  readonly lastAt: number;
  /** How often it came into use again after it was not. */
  readonly returns: number;
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

  /** How often these addresses came into use again. */
  returnsOf(addresses: Iterable<string>): number {
    let returns = 0;
    for (const address of addresses) returns += this.#seen.get(address)?.returns ?? 0;
    return returns;
  }

  #take(inUse: ReadonlySet<string>): void {
    const lastAt = performance.now();
    for (const address of inUse) {
      const known = this.#seen.get(address);
      const isBack = known !== undefined && !this.#inUse.has(address);
      this.#seen.set(address, { lastAt, returns: (known?.returns ?? 0) + (isBack ? 1 : 0) });
    }
    this.#inUse = inUse;
    this.#fewest = Math.min(this.#fewest, inUse.size);
  }
}
