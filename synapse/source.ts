import type { JsonSchema } from '../common/config/json-values.ts';
import type { Log } from '../common/daemon/log.ts';
import type { createEtcdClient } from '../common/etcd/client/client.ts';
import type { EtcdOptions } from '../common/etcd/client/options.ts';
import type { InspectedRecord } from '../common/etcd/records/inspect.ts';
import { builtFolder } from '../common/place.ts';
import type { PluginFolder } from '../common/plugin.ts';

import type { Source, UserSource, UserSourceContext } from './user-source.ts';

// Users' files import these from a file that needs no other package.
export type {
  Departure,
  EtcdPlace,
  InstanceSet,
  LeftOut,
  OptionWarning,
  PartStatus,
  Publish,
  Rejected,
  Source,
  SourceStatus,
  UnusableKind,
} from './user-source.ts';

/** Makes a client of an etcd cluster, as {@link createEtcdClient} does. */
export type OpenEtcd = typeof createEtcdClient;

/** What our own sources may use: they may also talk to etcd. */
export interface SourceContext extends UserSourceContext {
  /** The top-level `etcd` section, for the sources that talk to etcd. */
  readonly etcd: EtcdOptions;
  /** Opens a connection to an etcd cluster; only while the source runs. */
  readonly openEtcd: OpenEtcd;
}

/** One record of a registry at this moment, for people. */
export type RegistryRecord = InspectedRecord;

/** What {@link SourcePlugin.inspect} may use. */
export interface InspectRequest {
  readonly service: string;
  readonly etcd: EtcdOptions;
  readonly log: Log;
  /** Milliseconds for the whole call. */
  readonly timeoutMs: number;
}

/** A discovery method: one file in `synapse/discovery/sources/`, named after it, that exports it as `source`. */
export interface SourcePlugin<Options> extends Omit<UserSource<Options>, 'create'> {
  /**
   * Prepares the source; does no I/O.
   * @throws when the options contradict each other; the message becomes a configuration problem
   */
  create(options: Options, context: SourceContext): Source;
  /**
   * Reads the registry's own records of the service once, for `synapse explain`; changes nothing.
   * @throws when it does not answer in time, saying why
   */
  inspect?(options: Options, request: InspectRequest): Promise<readonly RegistryRecord[]>;
  /** What must hold of several options together, for the JSON Schema of the configuration. */
  readonly json?: readonly JsonSchema[];
  /** The smallest options that work, for people and for tests; left out when no option is required. */
  readonly example?: Readonly<Record<string, unknown>>;
}

/** Where discovery methods are, and SmartStack's older names for some of them. */
export const sourceFolder: PluginFolder = {
  kind: 'discovery method',
  url: new URL('synapse/discovery/sources/', builtFolder),
  symbol: 'source',
  aliases: { base: 'static', zookeeper_poll: 'zookeeper', zookeeper_dns_poll: 'zookeeper_dns' },
};
