/** What HAProxy's output tells as it happens. Times are in milliseconds. */
export type HaproxyEvent =
  /** A worker was found and everything that could be done at run time was done. */
  | { readonly type: 'synced'; readonly socket: string; readonly pid: number; readonly commands: number }
  /** The runtime API at this socket, which answered, does not any more. */
  | { readonly type: 'lost'; readonly socket: string; readonly reason: string }
  | { readonly type: 'written'; readonly bytes: number }
  /** HAProxy refuses a configuration: of these services, or of no one's in particular. */
  | { readonly type: 'rejected'; readonly services: readonly string[]; readonly reason: string }
  | { readonly type: 'reloading'; readonly reasons: readonly string[] }
  | { readonly type: 'reloaded'; readonly reasons: readonly string[]; readonly milliseconds: number }
  | { readonly type: 'reload-failed'; readonly reasons: readonly string[]; readonly reason: string };
