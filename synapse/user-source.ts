import type { Schema } from '../common/config/schema.ts';
import type { Log } from '../common/daemon/log.ts';
import type { RecordOrigin } from '../common/etcd/records/record-origin.ts';
import type { Instance } from '../common/instance.ts';
import type { Published } from '../common/published.ts';

export type { Schema } from '../common/config/schema.ts';
export type { Instance } from '../common/instance.ts';

/** A record that a source cannot use. */
export interface Rejected {
  /** An etcd key, or a file and line. */
  readonly where: string;
  readonly reason: string;
}

/**
 * Why the host of an instance cannot be used.
 * - `waiting`: the first lookup of its host name is under way.
 * - `unresolved`: its host name has no address.
 * - `refused`: traffic may not go to its address.
 * - `double`: another instance has the same name, address and port.
 */
export type UnusableKind = 'waiting' | 'unresolved' | 'refused' | 'double';

/** An instance that a source found and that is not used. */
export interface LeftOut {
  readonly id: string;
  readonly reason: string;
  /** Set when its host is the reason. */
  readonly kind?: UnusableKind;
}

/** All instances of one service that a source knows of at one moment. Immutable. */
export interface InstanceSet {
  /** In the source's own stable order (etcd: by key). Equal instances are the same objects as in the previous set. */
  readonly instances: readonly Instance[];
  /** True when no two of `instances` have the same id; otherwise the catalog looks for duplicates. */
  readonly unique?: boolean;
  readonly rejected: readonly Rejected[];
  /**
   * Ids that were withdrawn: their announcer or an operator took them back. Each has the key that said so; null where the
   * source knows no keys. An instance that is gone and not named here was lost together with its lease: its announcer
   * crashed or was cut off.
   */
  readonly withdrawn?: ReadonlyMap<string, string | null>;
  /** Ids of the previous set that were lost, each with its lease, where the source knows it (etcd's id as text). */
  readonly lost?: ReadonlyMap<string, string>;
  /** The lease of each of `instances`, where the source knows it; `0`: none. */
  readonly leases?: readonly string[];
  /** Where each of `instances` comes from, where the source knows it. */
  readonly origins?: readonly (RecordOrigin | undefined)[];
  /** When each of `instances` appeared, as a growing number (etcd: the create revision). The smallest is the leader. */
  readonly sequence?: readonly number[];
  /** Instances that are not among `instances` because a part of the source has filters of its own. */
  readonly leftOut?: readonly LeftOut[];
  /** Configuration of the service that the registry holds beside its instances. */
  readonly published?: Published;
  /** The source's name for this moment, for people: the etcd revision. */
  readonly revision?: string;
  /** When the source saw the change that led to this set, in milliseconds of `clock.now()`, which is `performance.now()`. */
  readonly seenAt: number;
}

/** How an instance left its registry: it was withdrawn, or its announcer crashed or was cut off and its lease expired. */
export type Departure = 'withdrawn' | 'expired';

/** Publishes the whole set: never a part of it, and never an empty set because of an error. */
export type Publish = (set: InstanceSet) => void;

/** The state of a source at this moment. */
export interface SourceStatus {
  /** Why the published set may be out of date; null while it is known to be current. */
  readonly reason: string | null;
  /** Milliseconds since the last proof that the published set is current; null when there was none yet. */
  readonly age: number | null;
  /** The states of its parts, in the order of the configuration, when the source is made of several. */
  readonly parts?: readonly PartStatus[];
}

/** One of several sources of a service. */
export interface PartStatus {
  readonly name: string;
  readonly method: string;
  /** `used`: its instances count; `asked`: it runs and they do not; `idle`: it does not run. */
  readonly role: 'used' | 'asked' | 'idle';
  /** The number of its instances that can take traffic; null before its first answer. */
  readonly instances: number | null;
  /** Why its instances may be out of date; null while they are known to be current, and while it is idle. */
  readonly reason: string | null;
}

/**
 * Finds the instances of one service: publishes the full set at once and after every change, until `signal` aborts.
 * Rejects when it cannot go on; its last set stays in force, and its supervisor starts it again.
 * Sources that get over an outage by themselves have a `status`, which is called every second and must be cheap.
 */
export type Source = ((publish: Publish, signal: AbortSignal) => Promise<void>) & {
  readonly status?: () => SourceStatus;
  /** The folders of keys that it follows now; left out by sources that follow none. */
  readonly places?: () => readonly EtcdPlace[];
};

/** A folder of keys in etcd that a source follows. */
export interface EtcdPlace {
  /** Which cluster, as `clusterKey` of `discovery/etcd-connection.ts` names it. */
  readonly cluster: string;
  /** Without a slash at its end. */
  readonly path: string;
  /** It is not followed now: another source is asked. */
  readonly isIdle?: boolean;
  /** Its instances do not count now: those of another source do. */
  readonly isUnused?: boolean;
}

/** What a source may use besides its own options. */
export interface UserSourceContext {
  readonly service: string;
  readonly log: Log;
  /** Counts and logs a record that cannot be used. The source calls it once for each new version of the record. */
  rejected(record: Rejected, origin?: RecordOrigin): void;
  /** Counts and logs a record that is used without some of its fields. Called as `rejected` is. */
  dropped(record: Rejected, origin?: RecordOrigin): void;
  /** Counts an instance that left its registry. The source calls it before it publishes the set without the instance. */
  gone(id: string, how: Departure, origin?: RecordOrigin): void;
  /**
   * A value that all sources with the same key share, such as an etcd connection or one poll that serves many services.
   * The first call makes it; it ends with the last source that asked for it. Its log names no service.
   */
  shared<T>(key: string, make: (signal: AbortSignal, log: Log) => T): T;
}

/** An option whose value is accepted and may do harm. */
export interface OptionWarning {
  readonly option: string;
  readonly message: string;
}

/**
 * What a user's file exports as `source`: the interface of synapse's own sources, as far as they need neither etcd nor
 * `synapse explain`. It does not change within a major version.
 */
export interface UserSource<Options> {
  /** One sentence for `synapse describe`. */
  readonly description: string;
  readonly schema: Schema<Options>;
  /**
   * Prepares the source; does no I/O.
   * @throws when the options contradict each other; the message becomes a configuration problem
   */
  create(options: Options, context: UserSourceContext): Source;
  /** What is allowed in these options and may do harm, for `synapse check` and the log. */
  warnings?(options: Options, service: string): readonly OptionWarning[];
  /**
   * The source finds machines, not ports. Its options `port` and `server_backup_port` default to the service's
   * `backend_port_override` and `haproxy.server_backup_port`, and the override is not applied to its instances again.
   */
  readonly takesPorts?: true;
  /**
   * The source finds addresses. Its option `port` defaults to the service's `backend_port_override`, which is still
   * applied to its instances.
   */
  readonly needsPort?: true;
}
