import { hex } from '../client/key-value.ts';

/** Where an instance of a registry comes from, as far as the registry tells: etcd does not tell which user wrote a key. */
export interface RecordOrigin {
  readonly key: string;
  /** etcd's id as text; `0`: none. */
  readonly lease: string;
  /** The revisions at which it was first and last written. */
  readonly created: number;
  readonly modRevision: string;
}

/** How a record was written, for logs, events and documents: the lease in hexadecimal as etcdctl prints it, null for none. */
export interface Written {
  readonly lease: string | null;
  readonly created: string;
  readonly revision: string;
}

/** How a record was written, for people. */
export function writtenAs({ lease, created, modRevision }: RecordOrigin): Written {
  return { lease: lease === '0' ? null : hex(lease), created: String(created), revision: modRevision };
}
