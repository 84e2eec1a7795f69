import type { Schema } from '../common/config/config.ts';
import type { Log } from '../common/daemon/log.ts';
import type { createEtcdClient } from '../common/etcd/client/client.ts';
import type { EtcdOptions } from '../common/etcd/client/options.ts';
import type { InspectedRecord } from '../common/etcd/records/inspect.ts';
import type { Instance } from '../common/instance.ts';
import type { PluginFolder } from '../common/plugin.ts';
import type { Published } from '../common/published.ts';

/** A record that a source found and could not use. */
export interface Rejected {
  /** Where it is: an etcd key, a file and line. */
  readonly where: string;
  readonly reason: string;
}

/** An instance that was found and is not used. */
export interface LeftOut {
  readonly id: string;
  readonly reason: string;
}

/** All instances of one service that a source knows of at one moment. Immutable. */
export interface InstanceSet {
  /** In the source's own stable order (etcd: by key). Equal instances are the same objects as in the previous set. */
  readonly instances: readonly Instance[];
  /** True: no two of `instances` have the same id, and nobody needs to look. */
  readonly unique?: boolean;
  readonly rejected: readonly Rejected[];
  /**
   * Ids of the previous set that are gone in good order: their announcer said `down` first. What is gone without being
   * named here expired: its announcer crashed or was cut off.
   */
  readonly withdrawn?: ReadonlySet<string>;
  /** When each of `instances` appeared, as a number that only grows (etcd: the create revision). The smallest leads. */
  readonly sequence?: readonly number[];
  /** What was found and is not among `instances`, because the part of the source that found it has filters of its own. */
  readonly leftOut?: readonly LeftOut[];
  /** Configuration of the service that the registry holds beside its instances. */
  readonly published?: Published;
  /** How the source names this moment, for people: the etcd revision. */
  readonly revision?: string;
  /** When the change that led to this set was seen, in milliseconds of `clock.now()`. */
  readonly seenAt: number;
}

/** How an instance left its registry: its announcer withdrew it, or was cut off or crashed, and its lease expired. */
export type Departure = 'withdrawn' | 'expired';

/** Hands over the whole set; never a part of it, and never an empty set because of an error. */
export type Publish = (set: InstanceSet) => void;

/** How a source is doing at the moment of asking. */
export interface SourceStatus {
  /** Why what it published may be out of date; null while it is known to be current. */
  readonly reason: string | null;
  /** Milliseconds since the last proof that the published set is current; null when there was none yet. */
  readonly age: number | null;
  /** Of a source that is made of several: how each of them is doing, in the order of the configuration. */
  readonly parts?: readonly PartStatus[];
}

/** One of several sources of a service. */
export interface PartStatus {
  readonly name: string;
  readonly method: string;
  /** `used`: its instances count; `asked`: it runs and they do not; `idle`: it does not run. */
  readonly role: 'used' | 'asked' | 'idle';
  /** How many instances it has that can take traffic; null while it has not answered. */
  readonly instances: number | null;
  /** Why what it says may be out of date; null while it is known to be current, and while it is idle. */
  readonly reason: string | null;
}

/**
 * Finds the instances of one service: publishes the full set first, then again on every change, until `signal` aborts.
 * Rejects when it cannot go on; what it published stays in force while its supervisor starts it again.
 * `status` is for sources that ride out an outage by themselves: it is called rarely and must be cheap.
 */
export type Source = ((publish: Publish, signal: AbortSignal) => Promise<void>) & {
  readonly status?: () => SourceStatus;
};

/** Makes a client of an etcd cluster, as {@link createEtcdClient} does. */
export type OpenEtcd = typeof createEtcdClient;

/** What a source may use besides its own options. */
export interface SourceContext {
  readonly service: string;
  readonly log: Log;
  /** Counts and logs a record that cannot be used: to be called once for each new version of it. */
  rejected(record: Rejected): void;
  /** Counts an instance that left its registry: to be called before the set without it is published. */
  gone(id: string, how: Departure): void;
  /** The top-level `etcd` section, for the sources that talk to etcd. */
  readonly etcd: EtcdOptions;
  /** Opens a connection to an etcd cluster; only while the source runs. */
  readonly openEtcd: OpenEtcd;
  /**
   * One thing for all sources that name the same key: an etcd connection, one poll that serves many services.
   * It is made at the first call and lives until the last source that asked for it has ended. Its log names no service.
   */
  shared<T>(key: string, make: (signal: AbortSignal, log: Log) => T): T;
}

/** One record of a registry as it is there at this moment, for people. */
export type RegistryRecord = InspectedRecord;

/** What a look into a registry may use. */
export interface LookAt {
  readonly service: string;
  readonly etcd: EtcdOptions;
  readonly log: Log;
  /** Milliseconds for all of it. */
  readonly timeout: number;
}

/** A discovery method: one file in `synapse/discovery/sources/`, named after it, that exports it as `source`. */
export interface SourcePlugin<Options> {
  /** One sentence for `synapse describe`. */
  readonly description: string;
  readonly schema: Schema<Options>;
  /**
   * Prepares the source; does no I/O.
   * @throws when the options make no sense together; the message becomes a configuration problem
   */
  create(options: Options, context: SourceContext): Source;
  /**
   * Reads the registry's own records of the service once, for `synapse explain`; changes nothing.
   * @throws when it does not answer in time, saying why
   */
  look?(options: Options, at: LookAt): Promise<readonly RegistryRecord[]>;
  /** The smallest options that work, for people and for tests; not needed when none are required. */
  readonly example?: Readonly<Record<string, unknown>>;
  /**
   * The source finds machines, not ports: its options `port` and `server_backup_port`, where not given, are the service's
   * `backend_port_override` and its `haproxy.server_backup_port`, and the override is not applied again to what it finds.
   */
  readonly takesPorts?: true;
  /**
   * The source finds addresses, and its option `port`, where not given, is the service's `backend_port_override`; that is
   * applied to what it finds as ever.
   */
  readonly needsPort?: true;
}

export const sourceFolder: PluginFolder = {
  kind: 'discovery method',
  url: new URL('./discovery/sources/', import.meta.url),
  symbol: 'source',
  aliases: { base: 'static', zookeeper_poll: 'zookeeper', zookeeper_dns_poll: 'zookeeper_dns' },
};
