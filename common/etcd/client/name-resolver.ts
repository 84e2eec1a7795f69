import { isIP } from 'node:net';
import { experimental, Metadata, status } from '@grpc/grpc-js';
import { clock, type Timer } from '../../async/clock.ts';
import { lookUpAll } from '../../net/lookup.ts';
import { reconnect } from './timing.ts';

/** The shortest time from one lookup of a name that was found to the next one: that of grpc-js. */
const foundMs = 30_000;
const defaultPort = 2379;

type Endpoints = Parameters<experimental.ResolverListener>[0];

/**
 * Finds the addresses of a member for grpc-js. Its own resolver calls getaddrinfo, of which libuv runs two at a time: two
 * names that the DNS does not answer would delay the lookups of all others.
 */
class NameResolver implements experimental.Resolver {
  readonly #target: experimental.GrpcUri;
  readonly #host: string;
  readonly #port: number;
  readonly #listener: experimental.ResolverListener;
  #isLooking = false;
  #nextAt = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  /** Another one after {@link destroy}: lookups of before count no more. */
  #life = {};

  constructor(target: experimental.GrpcUri, listener: experimental.ResolverListener) {
    const { host, port = defaultPort } = experimental.splitHostPort(target.path) ?? { host: target.path };
    this.#target = target;
    this.#host = host;
    this.#port = port;
    this.#listener = listener;
  }

  /** As the name of the server in requests and certificates. */
  static getDefaultAuthority({ path }: experimental.GrpcUri): string {
    return path;
  }

  updateResolution(): void {
    if (this.#isLooking || this.#timer !== undefined) return;
    const waitMs = this.#nextAt - clock.now();
    if (waitMs <= 0) {
      void this.#look();
      return;
    }
    // An address stays what it is.
    if (waitMs === Number.POSITIVE_INFINITY) return;
    this.#timer = clock.setTimeout(() => {
      this.#timer = undefined;
      void this.#look();
    }, waitMs);
    this.#timer.unref();
  }

  destroy(): void {
    clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isLooking = false;
    this.#nextAt = Number.NEGATIVE_INFINITY;
    this.#life = {};
  }

  async #look(): Promise<void> {
    const life = this.#life;
    const startedAt = clock.now();
    this.#isLooking = true;
    const found = await this.#find();
    if (life !== this.#life) return;
    this.#isLooking = false;
    if (!found.ok) this.#nextAt = clock.now() + reconnect.maxMs;
    else this.#nextAt = isIP(this.#host) !== 0 ? Number.POSITIVE_INFINITY : startedAt + foundMs;
    this.#listener(found, {}, null, '');
  }

  async #find(): Promise<Endpoints> {
    try {
      const found = await lookUpAll(this.#host);
      return {
        ok: true,
        value: found.map(({ address }) => ({ addresses: [{ host: address, port: this.#port }] })),
      };
    } catch {
      const details = `Name resolution failed for target ${experimental.uriToString(this.#target)}`;
      return { ok: false, error: { code: status.UNAVAILABLE, details, metadata: new Metadata() } };
    }
  }
}

/** Makes grpc-js look up names as the rest of the daemons do. */
export function useNameResolver(): void {
  experimental.registerResolver('dns', NameResolver);
}
