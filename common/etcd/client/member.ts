import { status } from '@grpc/grpc-js';
import { clock } from '../../async/clock.ts';
import { type Backoff, jittered } from '../../async/supervise.ts';
import { Connection, type Rpc } from './connection.ts';
import { EtcdError, isAnswer, isAuthOff, isRefused } from './errors.ts';
import type { EtcdOptions, Host } from './options.ts';
import { askedName, type Credentials, loadCredentials } from './tls.ts';

/** A member that answers with an error, or is down, soon works again; a hung one costs a deadline at every try. */
const answeringBackoff: Backoff = { min: 250, max: 2_000 };
const hangingBackoff: Backoff = { min: 1_000, max: 15_000 };
/** A token comes from the member itself; asking for one takes a password hash, about 100 ms of its time. */
const loginTimeout = 3_000;

/** One etcd member as we see it: its connection, its health, its token. */
export class Member {
  readonly url: string;
  readonly #host: Host;
  readonly #options: EtcdOptions;
  readonly #token: Token | undefined;
  #credentials: Credentials | undefined;
  #connection: Connection | undefined;
  /** Connections that still carry calls of others. */
  readonly #retired = new Set<Connection>();
  #failures = 0;
  #hangs = 0;
  #badUntil = 0;
  #suspectSince = Number.NEGATIVE_INFINITY;
  /** What `Maintenance.Status` said, such as `3.5.30`. */
  version: string | undefined;

  constructor(host: Host, options: EtcdOptions) {
    this.url = host.url;
    this.#host = host;
    this.#options = options;
    const { username, password } = options;
    if (username && password) {
      this.#token = createToken(async () => {
        const rpc = this.connection().rpc({ timeout: loginTimeout });
        try {
          return (await rpc.auth.authenticate({ name: username, password })).token;
        } catch (error) {
          if (error instanceof EtcdError && isAuthOff(error.details)) return undefined;
          throw error;
        }
      });
    }
  }

  /** Until when other members are to be preferred; milliseconds of `clock.now()`. */
  get badUntil(): number {
    return this.#badUntil;
  }

  /** When a call last went without an answer: streams on this member should prove that they live. */
  get suspectSince(): number {
    return this.#suspectSince;
  }

  /**
   * The connection that new calls use.
   * @throws when the TLS files cannot be read
   */
  connection(): Connection {
    const { url, target } = this.#host;
    const tls = this.#options.tls ?? undefined;
    const before = this.#credentials;
    try {
      this.#credentials = loadCredentials(this.#host, tls, before);
    } catch (error) {
      // Files that are being replaced may be missing for a moment: what we have still works.
      if (before === undefined) throw error;
    }
    if (before !== undefined && before !== this.#credentials) this.recycle();
    this.#connection ??= new Connection({
      url,
      target,
      credentials: (this.#credentials as Credentials).channel,
      serverName: tls?.serverName,
      askedName: askedName(this.#host, tls),
    });
    return this.#connection;
  }

  /** Typed clients for one try; a token is fetched first when it is needed. */
  async rpc(timeout: number, signal?: AbortSignal): Promise<{ rpc: Rpc; connection: Connection; token?: string }> {
    const token = await this.#token?.get();
    const connection = this.connection();
    return { rpc: connection.rpc({ timeout, token }, signal), connection, ...(token !== undefined && { token }) };
  }

  /** It answered. */
  good(): void {
    this.#failures = 0;
    this.#hangs = 0;
    this.#badUntil = 0;
  }

  /** A call on `connection` (or the way to it) failed; sees to it that later calls fare better. */
  failed(error: EtcdError, connection?: Connection): void {
    const hung = error.code === status.DEADLINE_EXCEEDED && !isAnswer(error);
    this.#failures += 1;
    const backoff = hung ? hangingBackoff : answeringBackoff;
    this.#badUntil = clock.now() + backoff.min / 2 + jittered(backoff, this.#failures - 1);
    if (!hung || isRefused(error)) return;
    this.#suspectSince = clock.now();
    this.#hangs += 1;
    const used = connection ?? this.#connection;
    if (used === undefined || used !== this.#connection) return;
    // grpc-js waits for ever for a peer that accepts a connection and then says nothing, and each one we give up lingers
    // until that peer ends it: so not too often.
    const age = clock.now() - used.openedAt;
    if ((!used.ready || this.#hangs >= 2) && age >= Math.min(15_000, 1_000 * 2 ** (this.#hangs - 1)) / 2)
      this.recycle();
  }

  /** A token was refused: the next call asks for a new one. */
  dropToken(token: string | undefined): void {
    this.#token?.drop(token);
  }

  /** New calls get a new connection; those under way keep theirs. */
  recycle(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection === undefined) return;
    for (const old of this.#retired) if (old.idle) this.#retired.delete(old);
    this.#retired.add(connection);
    connection.retire();
  }

  /** Ends everything. */
  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
    for (const old of this.#retired) old.close();
    this.#retired.clear();
  }
}

/** The token of one member; etcd's simple tokens are known to the member that gave them. */
export interface Token {
  /**
   * The token, asking for one when that is not known. Calls that come while one is asked for share it. Undefined when
   * etcd does not ask who calls: credentials may be there before it does.
   */
  get(): Promise<string | undefined>;
  /** Says that this token, or having none, was refused. A newer one is kept. */
  drop(token: string | undefined): void;
}

/** Keeps a token that `login` fetches; it returns undefined where none is needed. `login` must have a deadline of its own. */
export function createToken(login: () => Promise<string | undefined>): Token {
  let current: { readonly token: string | undefined } | undefined;
  let pending: Promise<string | undefined> | undefined;
  return {
    async get() {
      if (current !== undefined) return current.token;
      pending ??= login()
        .then((token) => {
          current = { token };
          return token;
        })
        .finally(() => {
          pending = undefined;
        });
      return pending;
    },
    drop(token) {
      if (current?.token === token) current = undefined;
    },
  };
}
