import { status } from '@grpc/grpc-js';
import { backoffMs, jittered } from '../../async/backoff.ts';
import { clock } from '../../async/clock.ts';
import type { Connection, Dial, Rpc } from './connection.ts';
import { EtcdError, isAnswer, isAuthOff, isRefused, isWrongPassword } from './errors.ts';
import type { EtcdOptions, Host } from './options.ts';
import type { Password } from './password.ts';
import { loginTimeoutMs, memberBackoff, reconnectBackoff } from './timing.ts';
import { Token } from './token.ts';

/** Stubs for one try, with what is needed to say afterwards how it went. */
export interface MemberCall {
  readonly rpc: Rpc;
  readonly connection: Connection;
  readonly token: string | undefined;
}

/** What a member needs: how to reach it, and who this process is. */
export interface MemberDeps extends Pick<EtcdOptions, 'username'> {
  readonly password: Password | undefined;
  readonly dial: Dial;
}

/** One etcd member as this process knows it: its connection, its health, its token. */
export class Member {
  readonly url: string;
  /** What `Maintenance.Status` said, such as `3.5.30`. */
  version: string | undefined;
  readonly #host: Host;
  readonly #dial: Dial;
  readonly #token: Token | undefined;
  #connection: Connection | undefined;
  /** Connections that still carry the calls that were under way when they were replaced. */
  readonly #retired = new Set<Connection>();
  #failures = 0;
  #hangs = 0;
  #badUntil = 0;
  #suspectSince = Number.NEGATIVE_INFINITY;

  constructor(host: Host, { username, password, dial }: MemberDeps) {
    this.url = host.url;
    this.#host = host;
    this.#dial = dial;
    if (username && password !== undefined) this.#token = new Token(() => this.#login(username, password));
  }

  /** Until when other members are preferred; milliseconds of `clock.now()`. */
  get badUntil(): number {
    return this.#badUntil;
  }

  /** When a call last went without an answer, milliseconds of `clock.now()`: streams on this member should prove that they live. */
  get suspectSince(): number {
    return this.#suspectSince;
  }

  /**
   * Stubs for one try. Asks for a token first when one is needed and not known.
   * @throws {EtcdError} when there is no token; another error when the TLS files cannot be read
   */
  async rpc(timeoutMs: number, signal?: AbortSignal): Promise<MemberCall> {
    const token = await this.#token?.get();
    const connection = this.#connect();
    return { rpc: connection.rpc({ timeoutMs, token }, signal), connection, token };
  }

  /** Says that it answered. */
  succeeded(): void {
    this.#failures = 0;
    this.#hangs = 0;
    this.#badUntil = 0;
  }

  /**
   * Says that a call failed. Other members are preferred for a while, and a connection that hangs is replaced.
   * @param connection the one that carried the call; undefined when the call did not get that far
   */
  failed(error: EtcdError, connection?: Connection): void {
    const hung = error.code === status.DEADLINE_EXCEEDED && !isAnswer(error);
    this.#failures += 1;
    const backoff = hung ? memberBackoff.hanging : memberBackoff.answering;
    this.#badUntil = clock.now() + backoff.baseMs / 2 + jittered(backoff, this.#failures - 1);
    if (!hung || isRefused(error)) return;
    this.#suspectSince = clock.now();
    this.#hangs += 1;
    const used = connection ?? this.#connection;
    if (used !== undefined && used === this.#connection && this.#isWorthReplacing(used)) this.#recycle();
  }

  /** Says that etcd refused a token: the next call asks for a new one. */
  dropToken(token: string | undefined): void {
    this.#token?.drop(token);
  }

  /** Ends everything. */
  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
    for (const old of this.#retired) old.close();
    this.#retired.clear();
  }

  /**
   * grpc-js waits for ever for a peer that accepts a connection and then says nothing. But each connection that is given up
   * lingers until that peer ends it, so that they are not replaced too often.
   */
  #isWorthReplacing(connection: Connection): boolean {
    const minAgeMs = backoffMs(reconnectBackoff, this.#hangs - 1) / 2;
    return (!connection.ready || this.#hangs >= 2) && clock.now() - connection.openedAt >= minAgeMs;
  }

  #connect(): Connection {
    if (this.#connection?.isOutdated()) this.#recycle();
    this.#connection ??= this.#dial(this.#host);
    return this.#connection;
  }

  /** New calls get a new connection; those under way keep theirs. */
  #recycle(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection === undefined) return;
    for (const old of this.#retired) if (old.idle) this.#retired.delete(old);
    this.#retired.add(connection);
    connection.retire();
  }

  async #login(name: string, password: Password): Promise<string | undefined> {
    const [first = '', second] = password.candidates();
    try {
      return await this.#authenticate(name, first, password);
    } catch (error) {
      if (second === undefined || !(error instanceof EtcdError && isWrongPassword(error.details))) throw error;
      return await this.#authenticate(name, second, password);
    }
  }

  async #authenticate(name: string, candidate: string, password: Password): Promise<string | undefined> {
    const rpc = this.#connect().rpc({ timeoutMs: loginTimeoutMs });
    try {
      const { token } = await rpc.auth.authenticate({ name, password: candidate });
      password.accepted(candidate);
      return token;
    } catch (error) {
      if (error instanceof EtcdError && isAuthOff(error.details)) return undefined;
      throw error;
    }
  }
}
