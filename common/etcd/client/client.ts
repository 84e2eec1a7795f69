import { type ClientDuplexStream, status } from '@grpc/grpc-js';
import { clock } from '../../async/clock.ts';
import { jittered, sleep } from '../../async/supervise.ts';
import type { Log } from '../../daemon/log.ts';
import type { Connection, Rpc } from './connection.ts';
import { EtcdError, etcdError, isPermanent, isStaleToken } from './errors.ts';
import { Member } from './member.ts';
import { checkEtcdOptions, type EtcdOptions } from './options.ts';
import { adviseOnVersion } from './version.ts';

export interface CallOptions {
  /** Milliseconds for each member tried, default 2 s. */
  readonly attemptMs?: number;
  /** Milliseconds for all of it, default 8 s. */
  readonly totalMs?: number;
  /** How many tries at most, default as many as fit. One, for what must not be sent twice. */
  readonly maxTries?: number;
  /** Another member than this one, when there is one that works. */
  readonly avoid?: string | undefined;
}

/** An open stream, with what is needed to judge it. */
export interface OpenStream<Request, Response> {
  readonly stream: Duplex<Request, Response>;
  /** The member's address. */
  readonly member: string;
  readonly version: string | undefined;
  /** When a call to this member last went without an answer, milliseconds of `clock.now()`. */
  suspectSince(): number;
  /** A unary call over the same connection, to see whether it still carries anything. */
  probe<T>(run: (rpc: Rpc) => Promise<T>, timeout: number): Promise<T>;
  /** Says that the stream works. */
  good(): void;
  /** Says why the stream is given up, so that the next one goes elsewhere, with a new token or connection if need be. */
  failed(error: unknown): void;
}

/** What grpc-js and etcd3 agree on of a stream in both directions. */
export type Duplex<Request, Response> = ClientDuplexStream<Request, Response>;

/** Calls to etcd that try one member after the other. Nothing is sent until it is used. */
export interface EtcdClient {
  /** Addresses of the members. */
  readonly hosts: readonly string[];
  readonly status: EtcdClientStatus;
  /**
   * Makes a call that may be sent more than once. `run` gets typed clients for one try; it must not catch their errors.
   * @throws {EtcdError} the answer, when it is final; otherwise what the last try met, after `total`
   */
  call<T>(run: (rpc: Rpc) => Promise<T>, options?: CallOptions, signal?: AbortSignal): Promise<T>;
  /**
   * Opens a stream on the best member. That it opened proves nothing; its owner waits for a first message.
   * @throws {EtcdError} when a token could not be had
   */
  open<Request, Response>(
    start: (rpc: Rpc) => Promise<unknown>,
    options?: Pick<CallOptions, 'attemptMs' | 'avoid'>,
    signal?: AbortSignal,
  ): Promise<OpenStream<Request, Response>>;
}

export interface EtcdClientStatus {
  /** The member that is used now. */
  readonly member: string;
  readonly version: string | null;
  /** Null when the last call worked. */
  readonly reason: string | null;
}

/**
 * Makes a client; does no I/O. Everything it opens ends when `signal` aborts.
 * @throws when the options cannot be used, naming the option
 */
export function createEtcdClient(options: EtcdOptions, deps: { readonly log: Log }, signal: AbortSignal): EtcdClient {
  const { log } = deps;
  const members = checkEtcdOptions(options).map((host) => new Member(host, options));
  const advise = adviseOnVersion(log);
  // Clients that share a list of members start at different ones; each stays where it is while that works.
  let preferred = Math.floor(clock.random() * members.length);
  let lastError: string | null = null;

  const close = (): void => {
    for (const member of members) member.close();
  };
  if (!signal.aborted) signal.addEventListener('abort', close, { once: true });

  const aborted = (callSignal?: AbortSignal): boolean => signal.aborted || callSignal?.aborted === true;

  /** Members that work first, beginning with the preferred one, then the others, the soonest usable first. */
  const order = (avoid?: string): readonly Member[] => {
    const now = clock.now();
    const rank = (member: Member): number =>
      member.badUntil <= now ? (member.url === avoid ? 1 : 0) : member.badUntil;
    return [...members.slice(preferred), ...members.slice(0, preferred)].sort((a, b) => rank(a) - rank(b));
  };

  const succeeded = (member: Member): void => {
    member.good();
    preferred = members.indexOf(member);
    if (lastError !== null) log.info('etcd answers again', { member: member.url });
    lastError = null;
    advise(member);
  };

  const failed = (error: EtcdError): void => {
    if (lastError === null) log.warn('etcd call failed, trying other members', { reason: error.message });
    else log.debug('etcd call failed again', { reason: error.message });
    lastError = error.message;
  };

  const attempt = async <T>(
    member: Member,
    run: (rpc: Rpc) => Promise<T>,
    timeout: number,
    callSignal?: AbortSignal,
  ): Promise<T> => {
    let connection: Connection | undefined;
    let token: string | undefined;
    try {
      const call = await member.rpc(timeout, callSignal);
      ({ connection, token } = call);
      const result = await run(call.rpc);
      succeeded(member);
      return result;
    } catch (cause) {
      const error = etcdError(member.url, cause);
      if (aborted(callSignal)) throw error;
      if (isStaleToken(error.details)) member.dropToken(token);
      else if (isPermanent(error)) succeeded(member);
      else {
        member.failed(error, connection);
        failed(error);
      }
      throw error;
    }
  };

  return {
    hosts: members.map((member) => member.url),

    get status() {
      const member = members[preferred] as Member;
      return { member: member.url, version: member.version ?? null, reason: lastError };
    },

    async call(
      run,
      { attemptMs: each = 2_000, totalMs: total = 8_000, maxTries: tries = Number.POSITIVE_INFINITY, avoid } = {},
      callSignal,
    ) {
      const end = clock.now() + total;
      let tried = 0;
      let last: EtcdError | undefined;
      for (let round = 0; ; round += 1) {
        let staleTokens = 0;
        for (const member of order(avoid)) {
          for (let again = true; again; ) {
            again = false;
            const left = end - clock.now();
            if (aborted(callSignal)) throw new EtcdError('etcd call', status.CANCELLED, 'aborted');
            // A last try that is too short to succeed would only hide why the others failed.
            if (last !== undefined && (left < Math.min(each, 100) || tried >= tries)) throw last;
            tried += 1;
            try {
              return await attempt(member, run, Math.max(1, Math.min(each, left)), callSignal);
            } catch (error) {
              last = error as EtcdError;
              if (aborted(callSignal) || isPermanent(last)) throw last;
              // The refused token was dropped. Once more with a new one; if that is refused too, it is not the token.
              if (isStaleToken(last.details) && staleTokens < 1) {
                staleTokens += 1;
                tried -= 1;
                again = true;
              }
            }
          }
        }
        if (tried < tries)
          await sleep(Math.min(jittered({ min: 50, max: 1_000 }, round), end - clock.now()), callSignal ?? signal);
      }
    },

    async open<Request, Response>(
      start: (rpc: Rpc) => Promise<unknown>,
      { attemptMs: timeout = 2_000, avoid }: Pick<CallOptions, 'attemptMs' | 'avoid'> = {},
      streamSignal?: AbortSignal,
    ): Promise<OpenStream<Request, Response>> {
      if (aborted(streamSignal)) throw new EtcdError('etcd stream', status.CANCELLED, 'aborted');
      const member = order(avoid)[0] as Member;
      const fail = (cause: unknown, token?: string, connection?: Connection): EtcdError => {
        const error = etcdError(member.url, cause);
        if (aborted(streamSignal)) return error;
        if (isStaleToken(error.details)) member.dropToken(token);
        else {
          member.failed(error, connection);
          failed(error);
        }
        return error;
      };
      let call: Awaited<ReturnType<Member['rpc']>>;
      let stream: Duplex<Request, Response>;
      try {
        call = await member.rpc(timeout, streamSignal);
        stream = (await start(call.rpc)) as Duplex<Request, Response>;
      } catch (error) {
        throw fail(error);
      }
      const { connection, token } = call;
      const cancel = (): void => stream.cancel();
      streamSignal?.addEventListener('abort', cancel, { once: true });
      stream.on('status', () => streamSignal?.removeEventListener('abort', cancel));
      if (aborted(streamSignal)) cancel();
      return {
        stream,
        member: member.url,
        get version() {
          return member.version;
        },
        suspectSince: () => member.suspectSince,
        probe: (run, limit) => run(connection.rpc({ timeout: limit, token }, streamSignal)),
        good: () => succeeded(member),
        failed: (error) => void fail(error, token, connection),
      };
    },
  };
}
