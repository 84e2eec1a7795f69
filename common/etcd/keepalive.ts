import { status } from '@grpc/grpc-js';
import type { ILeaseKeepAliveRequest, ILeaseKeepAliveResponse } from 'etcd3/lib/rpc.js';
import type { EtcdClient, OpenStream } from './client.ts';
import { EtcdError, etcdError } from './errors.ts';

/** Renews leases over one stream; a new one on another member after a failure. */
export interface Keepalive {
  /**
   * Renews once.
   * @returns seconds the lease has from when this was called, at least; 0 or less when etcd does not know it
   * @throws {EtcdError} when no answer came within `timeout` ms; the next call uses another member
   */
  renew(id: string, timeout: number): Promise<number>;
  /** Ends the stream. */
  close(): void;
}

type KeepaliveStream = OpenStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>;

/** Makes a keepalive; opens its stream at the first renewal. */
export function createKeepalive(client: EtcdClient, signal: AbortSignal): Keepalive {
  let current: KeepaliveStream | undefined;
  let avoid: string | undefined;
  let onAnswer: (answer: ILeaseKeepAliveResponse) => void = () => {};
  let onFailure: (error: unknown) => void = () => {};

  const open = async (timeout: number): Promise<KeepaliveStream> => {
    const opened: KeepaliveStream = await client.open(
      (rpc) => rpc.lease.leaseKeepAlive(),
      {
        attempt: timeout,
        avoid,
      },
      signal,
    );
    const lost = (error: unknown): void => {
      if (current !== opened) return;
      current = undefined;
      // Known to everybody: the next stream, and other calls, go to another member.
      avoid = opened.member;
      opened.failed(error);
      onFailure(error);
    };
    opened.stream.on('data', (answer: ILeaseKeepAliveResponse) => {
      if (current === opened) onAnswer(answer);
    });
    opened.stream.on('error', (error) => lost(etcdError(`${opened.member} keepalive`, error)));
    opened.stream.on('end', () =>
      lost(new EtcdError(`${opened.member} keepalive`, status.UNAVAILABLE, 'stream ended')),
    );
    return opened;
  };

  const close = (): void => {
    const stream = current?.stream;
    current = undefined;
    stream?.cancel();
  };

  return {
    async renew(id, timeout) {
      let timer: NodeJS.Timeout | undefined;
      try {
        current ??= await open(timeout);
        const used = current;
        const ttl = await new Promise<number>((resolve, reject) => {
          onFailure = reject;
          onAnswer = (answer) => {
            if (answer.ID === id) resolve(Number(answer.TTL));
          };
          const late = new EtcdError(
            `${used.member} keepalive`,
            status.DEADLINE_EXCEEDED,
            `no answer in ${timeout} ms`,
          );
          timer = setTimeout(() => {
            used.failed(late);
            reject(late);
          }, timeout);
          used.stream.write({ ID: id });
        });
        used.good();
        avoid = undefined;
        return ttl;
      } catch (error) {
        avoid = current?.member ?? avoid;
        close();
        throw error;
      } finally {
        clearTimeout(timer);
        onAnswer = () => {};
        onFailure = () => {};
      }
    },
    close,
  };
}
