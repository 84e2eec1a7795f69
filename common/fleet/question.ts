import type { Expectation } from './records.ts';

/** What to ask all proxies. */
export type Question =
  /** Whether an instance is as expected in every HAProxy. `path` is its folder, `key` its key in etcd. */
  | { readonly kind: 'instance'; readonly path: string; readonly key: string; readonly expect: Expectation }
  /** Whether everything up to a revision has been applied; default: the present one. Without a path: of all services. */
  | { readonly kind: 'revision'; readonly path?: string; readonly revision?: number };
