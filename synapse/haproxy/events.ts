/** What HAProxy's output tells as it happens. Times are in milliseconds. */
export type HaproxyEvent =
  /** A worker was found, and HAProxy has answered all commands that were to be sent to it. */
  | { readonly type: 'synced'; readonly socket: string; readonly pid: number; readonly commands: number }
  /** The runtime API at this socket does not answer any more. */
  | { readonly type: 'lost'; readonly socket: string; readonly reason: string }
  | { readonly type: 'written'; readonly bytes: number }
  /** HAProxy refuses the configuration of these services; of all together when none is named. */
  | { readonly type: 'rejected'; readonly services: readonly string[]; readonly reason: string }
  | { readonly type: 'reloading'; readonly reasons: readonly string[] }
  | { readonly type: 'reloaded'; readonly reasons: readonly string[]; readonly milliseconds: number }
  | { readonly type: 'reload-failed'; readonly reasons: readonly string[]; readonly reason: string };
