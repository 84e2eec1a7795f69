import { status } from '@grpc/grpc-js';
import type { ILeaseKeepAliveRequest, ILeaseKeepAliveResponse } from 'etcd3/lib/rpc.js';
import { clock, type Timer } from '../../async/clock.ts';
import type { EtcdClient, OpenStream } from '../client/client.ts';
import { EtcdError, etcdError } from '../client/errors.ts';

type KeepaliveStream = OpenStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>;

/** The renewal that is under way. */
interface Renewal {
  readonly id: string;
  resolve(ttlSeconds: number): void;
  reject(error: unknown): void;
}

/** Renews leases over one stream; after a failure, over a new one on another member. Does no I/O before the first renewal. */
export class Keepalive {
  readonly #client: EtcdClient;
  readonly #signal: AbortSignal;
  #current: KeepaliveStream | undefined;
  #avoid: string | undefined;
  #renewal: Renewal | undefined;

  constructor(client: EtcdClient, signal: AbortSignal) {
    this.#client = client;
    this.#signal = signal;
  }

  /**
   * Renews once.
   * @returns seconds that the lease has at least, counted from this call; 0 or less when etcd does not know it
   * @throws {EtcdError} when no answer came within `timeoutMs`; the next call uses another member
   */
  async renew(id: string, timeoutMs: number): Promise<number> {
    try {
      this.#current ??= await this.#open(timeoutMs);
      const used = this.#current;
      const ttlSeconds = await this.#send(used, id, timeoutMs);
      used.succeeded();
      this.#avoid = undefined;
      return ttlSeconds;
    } catch (error) {
      this.#avoid = this.#current?.member ?? this.#avoid;
      this.close();
      throw error;
    }
  }

  /** Ends the stream. The next renewal opens another one. */
  close(): void {
    const stream = this.#current?.stream;
    this.#current = undefined;
    stream?.cancel();
  }

  async #open(timeoutMs: number): Promise<KeepaliveStream> {
    const opened: KeepaliveStream = await this.#client.open(
      (rpc) => rpc.lease.leaseKeepAlive(),
      { attemptMs: timeoutMs, avoid: this.#avoid },
      this.#signal,
    );
    const { stream, member } = opened;
    stream.on('data', (answer: ILeaseKeepAliveResponse) => {
      if (this.#current === opened && answer.ID === this.#renewal?.id) this.#renewal.resolve(Number(answer.TTL));
    });
    stream.on('error', (error) => this.#lost(opened, etcdError(`${member} keepalive`, error)));
    stream.on('end', () =>
      this.#lost(opened, new EtcdError(`${member} keepalive`, status.UNAVAILABLE, 'stream ended')),
    );
    return opened;
  }

  #lost(opened: KeepaliveStream, error: EtcdError): void {
    if (this.#current !== opened) return;
    this.#current = undefined;
    // The client hears of it too: the next stream, and other calls, go to another member.
    this.#avoid = opened.member;
    opened.failed(error);
    this.#renewal?.reject(error);
  }

  async #send(used: KeepaliveStream, id: string, timeoutMs: number): Promise<number> {
    let timer: Timer | undefined;
    try {
      return await new Promise<number>((resolve, reject) => {
        this.#renewal = { id, resolve, reject };
        timer = clock.setTimeout(() => {
          const details = `no answer in ${timeoutMs} ms`;
          const late = new EtcdError(`${used.member} keepalive`, status.DEADLINE_EXCEEDED, details);
          used.failed(late);
          reject(late);
        }, timeoutMs);
        used.stream.write({ ID: id });
      });
    } finally {
      clock.clearTimeout(timer);
      this.#renewal = undefined;
    }
  }
}
