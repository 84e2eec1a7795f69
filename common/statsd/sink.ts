import { createSocket, type Socket } from 'node:dgram';
import { isIP } from 'node:net';
import { clock, type Timer } from '../async/clock.ts';
import { type Log, reasonOf } from '../daemon/log.ts';
import { lookUpAll } from '../net/lookup.ts';
import { packets } from './line.ts';

interface Address {
  readonly address: string;
  readonly family: number;
}

/** What fits into one Ethernet frame beside the headers of IPv6 and UDP. */
const maxPacketBytes = 1_432;
/** How long an address is used, and how long after a failed lookup the next one begins. */
const lookupIntervalMs = 60_000;
/** How long {@link StatsdSink.end} waits for the last packets. */
const endTimeoutMs = 1_000;

/**
 * Sends lines to a StatsD server over UDP. Nothing waits for the server or fails because of it. A name is looked up in the
 * background, one lookup at a time.
 */
export class StatsdSink {
  readonly #host: string;
  readonly #port: number;
  readonly #log: Log;
  /** By address family, 4 or 6. */
  readonly #sockets = new Map<number, Socket>();
  #address: Address | undefined;
  #isResolving = false;
  #resolveAt: number;
  /** Why the server cannot be reached; null while it can. */
  #reason: string | null = null;

  /** Looks the name up at once, so that it is known when there is something to send. */
  constructor({ host, port }: { readonly host: string; readonly port: number }, { log }: { readonly log: Log }) {
    this.#host = host;
    this.#port = port;
    this.#log = log;
    const family = isIP(host);
    this.#address = family === 0 ? undefined : { address: host, family };
    this.#resolveAt = family === 0 ? 0 : Number.POSITIVE_INFINITY;
    this.#resolve();
  }

  /** Sends lines now. Lines are dropped while the name is not resolved, and when they cannot be sent. */
  send(lines: readonly string[]): void {
    void this.#sendPackets(lines);
  }

  /** Sends the last lines and closes. Resolves within a second. */
  async end(lines: readonly string[]): Promise<void> {
    let timer: Timer | undefined;
    const limit = new Promise<void>((done) => {
      timer = clock.setTimeout(done, endTimeoutMs);
    });
    await Promise.race([Promise.all(this.#sendPackets(lines)), limit]);
    clock.clearTimeout(timer);
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  #sendPackets(lines: readonly string[]): readonly Promise<void>[] {
    this.#resolve();
    const to = this.#address;
    if (to === undefined) return [];
    return packets(lines, maxPacketBytes).map(
      (packet) =>
        new Promise((done) => {
          // The callback comes when the kernel has the packet; UDP does not report that no server listens.
          this.#socketFor(to.family).send(packet, this.#port, to.address, (error) => {
            this.#setReason(error === null ? null : reasonOf(error));
            done();
          });
        }),
    );
  }

  #resolve(): void {
    if (this.#isResolving || clock.now() < this.#resolveAt) return;
    this.#isResolving = true;
    const done = (found: Address | undefined, error?: unknown): void => {
      this.#isResolving = false;
      this.#resolveAt = clock.now() + lookupIntervalMs;
      // Without a new address the old one stays.
      this.#address = found ?? this.#address;
      if (this.#address === undefined) this.#setReason(`${this.#host} cannot be resolved: ${reasonOf(error)}`);
    };
    // IPv4 first, as in SmartStack: servers tend to listen on 127.0.0.1 only.
    lookUpAll(this.#host).then(
      ([first]) => done(first),
      (error) => done(undefined, error),
    );
  }

  #socketFor(family: number): Socket {
    let socket = this.#sockets.get(family);
    if (socket === undefined) {
      socket = createSocket(family === 6 ? 'udp6' : 'udp4');
      socket.on('error', (error) => this.#setReason(reasonOf(error)));
      socket.unref();
      this.#sockets.set(family, socket);
    }
    return socket;
  }

  /** Logs an outage once, and its end. */
  #setReason(reason: string | null): void {
    if (reason !== null && this.#reason === null)
      this.#log.warn('statsd cannot be reached, its metrics are dropped', { reason });
    if (reason === null && this.#reason !== null) this.#log.info('statsd can be reached again');
    this.#reason = reason;
  }
}
