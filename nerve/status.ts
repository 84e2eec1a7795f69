import type { NerveState } from './state.ts';

/** One service as etcd has it, read without a running nerve. */
export interface RegistryState {
  readonly name: string;
  readonly instance: string;
  readonly key: string;
  /** Etcd has the key; null when it could not be asked. */
  readonly announced: boolean | null;
  /** Why it could not be asked, or why the record cannot be used. */
  readonly reason: string | null;
  /** The revision at which it was last written; null when it is not there. */
  readonly revision: string | null;
  /** In hexadecimal, with seconds: what it was granted for, and what is left. Null when not there or not known. */
  readonly lease: string | null;
  readonly ttl: number | null;
  readonly left: number | null;
}

/** What `nerve status` shows. */
export interface NerveStatus extends NerveState {
  readonly daemon: { readonly running: boolean; readonly reason: string | null };
  /** Without a daemon: what etcd has. */
  readonly registry?: readonly RegistryState[];
}
