import type { Instance } from '../common/instance.ts';

/** What one service should be right now, after sources, fallbacks and filters. Immutable. */
export interface ServiceState<Config = unknown> {
  readonly name: string;
  /** The service's own section for this output, such as `services.api.haproxy`. */
  readonly config: Config;
  /**
   * The instances to balance over, in order; undefined while nothing is known about them (no source has answered and
   * no cache has them): an output then keeps what it has.
   */
  readonly instances: readonly Instance[] | undefined;
  /** When the change that led to this state was seen, in milliseconds of `clock.now()`. */
  readonly seenAt: number;
}

/** All services, in the order of the configuration. */
export type Snapshot<Config = unknown> = ReadonlyMap<string, ServiceState<Config>>;

/** Makes a snapshot real: HAProxy's live state and file, or files for others to read. */
export interface Output<Config = unknown> {
  /**
   * Brings the world to `snapshot`. Only `dirty` services differ from the previous call (names that are no longer in
   * the snapshot were removed). Calls never overlap. Resolves when users feel the change, which may be before it is
   * on disk; never rejects for what it can put right later by itself.
   */
  apply(snapshot: Snapshot<Config>, dirty: ReadonlySet<string>): Promise<void>;
}

/** Whose servers an output is asked about: of one service, or of all. */
export type ServersOf = { readonly service: string } | 'all';
