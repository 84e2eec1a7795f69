import { clock } from '../../async/clock.ts';
import type { CallOptions } from '../client/call.ts';
import type { EtcdClient } from '../client/client.ts';
import { EtcdError } from '../client/errors.ts';

/** A lease to ask for. */
export interface LeaseRequest {
  /** See {@link randomLeaseId}. */
  readonly id: string;
  readonly ttlSeconds: number;
  /** Limits of the call; default: the client's. */
  readonly limits?: CallOptions;
}

/** Asks for a lease. @returns the TTL that etcd granted, in seconds; it may be more than was asked for */
export function grantLease(
  client: EtcdClient,
  { id, ttlSeconds, limits = {} }: LeaseRequest,
  signal: AbortSignal,
): Promise<number> {
  return client.call(
    async (rpc) => {
      try {
        return Number((await rpc.lease.leaseGrant({ TTL: ttlSeconds, ID: id })).TTL);
      } catch (error) {
        // Only we know this id: an earlier try got through, and its answer was lost.
        if (error instanceof EtcdError && /lease already exists/.test(error.details)) return ttlSeconds;
        throw error;
      }
    },
    limits,
    signal,
  );
}

/** Chosen by us, so that a grant that is sent again does not make a second lease. 63 bits: etcd's ids are signed. */
export function randomLeaseId(): string {
  const [high, low] = [Math.floor(clock.random() * 2 ** 31), Math.floor(clock.random() * 2 ** 32)];
  return String((BigInt(high) << 32n) | BigInt(low) | 1n);
}
