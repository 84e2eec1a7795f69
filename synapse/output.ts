import { type Instance, type InstanceFields, makeInstance } from '../common/instance.ts';
import type { ServiceHaproxyConfig } from './haproxy/options/service-config.ts';

/** A service's own section for HAProxy, `services.NAME.haproxy`. Outside `haproxy/` and `config/` it is only passed on. */
export type ServiceOutputConfig = ServiceHaproxyConfig;

/**
 * Marks an instance that came back without an announcement: where HAProxy checks it, its server starts DOWN until
 * the check passes. A symbol, so that no document and no comparison of records has it.
 */
export const startsDown: unique symbol = Symbol('starts down');

/**
 * Marks an instance that asks for cookies which an instance that was announced before it has: cookie → the id of that one. A
 * symbol for the same reason.
 */
export const takenCookies: unique symbol = Symbol('taken cookies');

/** An instance as outputs get it: its host is an IP address. */
export interface OutputInstance extends Instance {
  readonly [startsDown]?: true;
  readonly [takenCookies]?: ReadonlyMap<string, string>;
  /** The host name in its record, for which `host` and `id` have the address; undefined where the record has an address. */
  readonly hostName?: string;
}

/** Ports on which this host listens: an instance there would be HAProxy or synapse itself. */
export interface Listener {
  /** An IP address; `any`: all addresses of this host. */
  readonly host: string | 'any';
  readonly firstPort: number;
  readonly lastPort: number;
  /** What listens, for people: `the frontend of api`. */
  readonly what: string;
}

/** True for an instance that is marked with {@link startsDown}. */
export function isToStartDown(instance: OutputInstance): boolean {
  return instance[startsDown] === true;
}

/** The instance with other fields; a mark stays. @throws when the fields are not valid */
export function withFields(instance: OutputInstance, fields: Partial<InstanceFields>): OutputInstance {
  const made = makeInstance({ ...instance, ...fields });
  return isToStartDown(instance) ? { ...made, [startsDown]: true } : made;
}

/** What one service should be right now, after sources, fallbacks and filters. Immutable. */
export interface ServiceState {
  readonly name: string;
  readonly config: ServiceOutputConfig;
  /** The section in synapse's own configuration, where a published configuration makes `config` differ from it. */
  readonly local?: ServiceOutputConfig;
  /**
   * The instances to balance over, in order; undefined while nothing is known about them (no source has answered and
   * the state file does not have the service): an output then keeps what it has.
   */
  readonly instances: readonly OutputInstance[] | undefined;
  /**
   * The instances are those of the state file, and may be out of date. `cache`: the source has not answered in this process;
   * `previous`: it has, and found none.
   */
  readonly fromStateFile?: 'cache' | 'previous';
  /** When synapse saw the change that led to this state, in milliseconds of `clock.now()`. */
  readonly seenAt: number;
}

/** All services at one moment, in the order of the configuration. */
export type Snapshot = ReadonlyMap<string, ServiceState>;

/** What one call of {@link Output.apply} did about one service. */
export interface AppliedService {
  readonly service: string;
  /** Runtime API commands. */
  readonly commands: number;
  /** The commands that failed. */
  readonly failed: number;
  /** From the moment the change was seen until the last reply. */
  readonly milliseconds: number;
}

/** Makes snapshots real: in HAProxy, or in files that other programs read. */
export interface Output {
  /**
   * Brings the output to `snapshot`. Only the `changed` services differ from the previous call; a changed name that is
   * not in the snapshot was removed. Calls never overlap. Resolves when users feel the change, which may be before it
   * is on disk; never rejects for a failure that the output retries by itself.
   * @returns the services for which commands were sent
   */
  apply(snapshot: Snapshot, changed: ReadonlySet<string>): Promise<readonly AppliedService[]>;
  /** Works until `signal` aborts, then writes what is pending and leaves the result as it is. */
  run(signal: AbortSignal): Promise<void>;
  /** Why the result may not be what was applied; null while it is. */
  readonly reason: string | null;
}

/** Which servers to ask HAProxy about: those of one service, or all. */
export type ServersOf = { readonly service: string } | 'all';
