import { clock, type Timer } from '../../../common/async/clock.ts';
import { sleep } from '../../../common/async/sleep.ts';
import { type Log, reasonOf } from '../../../common/daemon/log.ts';
import type { DesiredService } from '../spec/desired-service.ts';
import type { DirtyBackends, ReadingMoment } from './bookkeeping.ts';
import type { RuntimeConnection } from './connection.ts';
import type { ServerChange } from './draft.ts';
import { parseServersState, type ServerRow } from './parse.ts';
import type { ServerState } from './server-state.ts';

/** What is read and compared, and what is told about it. */
export interface ReadBackDeps {
  readonly log: Log;
  readonly services: ReadonlyMap<string, DesiredService>;
  readonly state: ServerState;
  readonly dirty: DirtyBackends;
  /** The connection to a worker whose state is known; undefined while there is none. */
  readonly connection: () => RuntimeConnection | undefined;
  readonly generation: () => string | undefined;
  /** Called when something unexpected has been read, before anything is planned. */
  readonly onUnexpected: () => void;
  /** The changes to send to a service whose servers were just read. */
  readonly plan: (desired: DesiredService) => readonly ServerChange[];
  readonly execute: (changes: readonly ServerChange[]) => void;
}

/** With more backends than this, and no more servers than {@link maxServersAtOnce}, one reading of all costs less. */
const maxSingleBackends = 8;
/** More servers than this are read in slices, so that changes never wait long behind a reading. */
const maxServersAtOnce = 2_000;
/** Servers in a slice; one backend is in one slice. */
const sliceServers = 500;
/** From one slice to the next, in milliseconds: what has come meanwhile goes first. */
const slicePauseMs = 1;
/** The delay before what was changed is read: grows by 1 ms per server, because HAProxy needs time for each. */
const readDelayMs = { min: 50, max: 5_000 };

/** Reads back what runs, compares it with what is desired, and sends what is missing. */
export class ReadBack {
  readonly #deps: ReadBackDeps;
  #timer: Timer | undefined;
  /** A reply showed that HAProxy has something we do not know of, such as a server of an operator with an id of ours. */
  #unexpected = false;

  constructor(deps: ReadBackDeps) {
    this.#deps = deps;
  }

  /** Reads the dirty backends soon. Keeps to the time that is set already, if there is one. */
  schedule(): void {
    if (this.#timer !== undefined) return;
    const { state, dirty } = this.#deps;
    const delayMs = Math.min(readDelayMs.min + state.count(dirty.unread), readDelayMs.max);
    this.#after(delayMs, () => new Set(dirty.unread));
  }

  /** Reads the dirty backends at once. `unexpected`: HAProxy has something we do not know of. */
  scheduleNow({ unexpected }: { readonly unexpected: boolean }): void {
    this.#unexpected ||= unexpected;
    this.#after(1, () => new Set(this.#deps.dirty.unread));
  }

  /** Reads everything after a delay. */
  scheduleAll(delayMs: number): void {
    this.#after(delayMs, () => undefined);
  }

  /** Reads everything now. Resolves to null, or to the reason why it could not be read. Never rejects. */
  readAll(): Promise<string | null> {
    return this.#read(undefined);
  }

  /** Forgets what is scheduled. */
  stop(): void {
    clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #after(delayMs: number, backends: () => ReadonlySet<string> | undefined): void {
    clock.clearTimeout(this.#timer);
    this.#timer = clock.setTimeout(() => {
      this.#timer = undefined;
      void this.#read(backends());
    }, delayMs);
  }

  /** Reads these backends, or all when undefined. */
  async #read(backends: ReadonlySet<string> | undefined): Promise<string | null> {
    const { log, connection: connected } = this.#deps;
    const connection = connected();
    if (connection === undefined) return 'not connected';
    try {
      for (const [index, names] of this.#slices(backends).entries()) {
        if (index > 0) await sleep(slicePauseMs);
        if (connection !== connected()) return 'the connection ended';
        const reason = await this.#readSlice(connection, names);
        if (reason !== null) return reason;
      }
      return null;
    } catch (error) {
      const reason = reasonOf(error);
      log.debug('HAProxy could not be read', { reason });
      // A reply to something else may be out of step, and the replies after it too.
      connection.close(error as Error);
      return reason;
    }
  }

  async #readSlice(connection: RuntimeConnection, names: readonly string[] | undefined): Promise<string | null> {
    const moment = this.#deps.dirty.moment();
    const commands = names?.map((name) => `show servers state ${name}`) ?? ['show servers state'];
    const replies = await connection.send(commands);
    if (connection !== this.#deps.connection()) return 'the connection ended';
    // A single backend may not exist; all backends always have a reply.
    const readable = names === undefined ? replies : replies.filter((reply) => reply.includes('# '));
    this.#compare(readable.flatMap(parseServersState), names, moment);
    return null;
  }

  /** The backends that are read together; undefined stands for all. Backends come and go with a worker only. */
  #slices(backends: ReadonlySet<string> | undefined): readonly (readonly string[] | undefined)[] {
    const { state } = this.#deps;
    const isMany = backends === undefined || backends.size > maxSingleBackends;
    if (isMany && state.count() <= maxServersAtOnce) return [undefined];
    const slices: string[][] = [[]];
    let servers = 0;
    for (const name of backends ?? state.running.keys()) {
      const count = state.count([name]);
      if (servers > 0 && servers + count > sliceServers) {
        slices.push([]);
        servers = 0;
      }
      slices.at(-1)?.push(name);
      servers += count;
    }
    return slices;
  }

  #compare(rows: readonly ServerRow[], names: readonly string[] | undefined, { isStale }: ReadingMoment): void {
    const { services, state, dirty, generation, plan, onUnexpected, execute } = this.#deps;
    // A backend that has had commands since it was asked for is read again instead.
    const fresh = rows.filter(({ backend }) => !isStale(backend));
    const read = new Set([...(names ?? state.running.keys())].filter((backend) => !isStale(backend)));
    for (const backend of read) dirty.markRead(backend);
    state.update(fresh, read, generation());
    if (this.#unexpected) {
      this.#unexpected = false;
      onUnexpected();
    }
    const changes: ServerChange[] = [];
    for (const desired of services.values()) {
      const backend = desired.active?.backend;
      if (backend === undefined || isStale(backend) || (names !== undefined && !read.has(backend))) continue;
      changes.push(...plan(desired));
    }
    execute(changes);
    if (dirty.unread.size > 0) this.schedule();
  }
}
