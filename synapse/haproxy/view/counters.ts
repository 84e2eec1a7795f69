/** What HAProxy itself says of a backend or a server; counters since its worker began, of all processes together. */
export interface Counters {
  readonly status: string;
  /** Requests or connections that it handles at this moment, and those that wait. */
  readonly current: number;
  readonly queued: number;
  readonly sessions: number;
  /** Of HTTP; null in TCP mode. */
  readonly requests: number | null;
  /** Answers 500 to 599, and connections and answers that failed. */
  readonly errors: number;
  /** Servers that take traffic, for a backend. */
  readonly active: number;
  readonly backup: number;
}

export interface ServerView extends Counters {
  readonly name: string;
  /** `host:port`; empty where this HAProxy does not say. */
  readonly address: string;
  readonly weight: number;
  /** The last health check, such as `L4OK`; empty without checks. */
  readonly check: string;
  /** What that check said. */
  readonly detail: string;
  /** Seconds since its status changed. */
  readonly since: number;
}

export interface HaproxyView {
  readonly backends: ReadonlyMap<string, Counters>;
  /** Servers by backend: of the one that was asked for, or of all. */
  readonly servers: ReadonlyMap<string, readonly ServerView[]>;
}
