import { isIP } from 'node:net';
import { parseBoundedJson } from './bounded-json.ts';
import {
  InvalidRecord,
  readBackup,
  readLabels,
  readName,
  readServerOptions,
  readState,
  readWeight,
} from './instance-fields.ts';
import { quote } from './wording.ts';

/** `up` takes traffic, `drain` finishes what it has, `down` is about to vanish (an orderly withdrawal). */
export type InstanceState = 'up' | 'drain' | 'down';

/** One reachable copy of a service: what nerve announces and synapse balances over. Immutable once published. */
export interface Instance {
  /** Unique within its service and stable across restarts: `<name>_<host>:<port>`, or `<host>:<port>` without a name. */
  readonly id: string;
  /** The host's name in nerve (`instance_id`); empty when the source gives no name. */
  readonly name: string;
  /** IPv4 or IPv6 address without brackets, or a host name. */
  readonly host: string;
  /** 1..65535. */
  readonly port: number;
  readonly state: InstanceState;
  /** Takes traffic only while no regular instance can. */
  readonly backup: boolean;
  /** Relative share of traffic, 0..256 (HAProxy's range). */
  readonly weight?: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** HAProxy server keywords the announcer asks for. Untrusted: synapse filters them. */
  readonly serverOptions?: string;
  /** Why fields of its record are not used, for people. */
  readonly dropped?: readonly string[];
}

/** The fields of an {@link Instance} without its id, which follows from name, host and port. */
export type InstanceFields = Omit<Instance, 'id' | 'name' | 'state' | 'backup'> &
  Partial<Pick<Instance, 'name' | 'state' | 'backup'>>;

/** The largest record that any registry may have. Real records have a few hundred bytes; a larger one is a mistake or an attack. */
export const maxRecordBytes = 64 * 1024;

/** RFC 1123 host names; also accepts the underscore that Docker and some DNS zones use. */
const hostNamePattern =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$/;
/** ISO 8601 in UTC, as `Date` writes it. */
const timePattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

/** The name HAProxy and `etcdctl` show for an instance, and the last segment of its key. */
export function instanceId(name: string, host: string, port: number): string {
  return name === '' ? `${host}:${port}` : `${name}_${host}:${port}`;
}

/** The fields of a record as they were found: anything at all. */
export type FoundFields = Readonly<
  Partial<Record<'name' | 'host' | 'port' | 'state' | 'backup' | 'weight' | 'labels' | 'serverOptions', unknown>>
>;

/** The most reasons that {@link Instance.dropped} has. */
const mostDropped = 8;

/**
 * Checks every field and freezes the result. For what we make ourselves, and for what an operator writes.
 * @throws {InvalidRecord} naming the first field that cannot be used
 */
export function makeInstance(fields: InstanceFields): Instance {
  const instance = build(fields, (problem) => {
    throw problem;
  });
  return fields.dropped === undefined ? instance : Object.freeze({ ...instance, dropped: fields.dropped });
}

/**
 * Takes an instance that a registry has. Host and port decide: another field that cannot be used is left out, and `dropped`
 * says why.
 * @throws {InvalidRecord} when the host or the port cannot be used
 */
export function takeInstance(fields: FoundFields): Instance {
  const dropped: string[] = [];
  const instance = build(fields, ({ message }) => dropped.push(message));
  return dropped.length === 0
    ? instance
    : Object.freeze({ ...instance, dropped: Object.freeze(dropped.slice(0, mostDropped)) });
}

/** `onProblem` is told of each field that cannot be used, apart from host and port. */
function build(fields: FoundFields, onProblem: (problem: InvalidRecord) => void): Instance {
  const optional = <Value>(value: unknown, read: (value: unknown) => Value): Value | undefined => {
    if (value === undefined || value === null) return undefined;
    try {
      return read(value);
    } catch (error) {
      if (!(error instanceof InvalidRecord)) throw error;
      onProblem(error);
      return undefined;
    }
  };
  const name = optional(fields.name, readName) ?? '';
  const { host, port } = fields;
  if (!isHost(host)) throw new InvalidRecord(`host ${quote(host)}: must be an IP address or a host name`);
  if (!isPort(port)) throw new InvalidRecord(`port ${quote(port)}: must be a whole number from 1 to 65535`);
  const weight = optional(fields.weight, readWeight);
  const serverOptions = optional(fields.serverOptions, readServerOptions);
  const labels = optional(fields.labels, (value) => readLabels(value, onProblem));
  return Object.freeze({
    id: instanceId(name, host, port),
    name,
    host,
    port,
    state: optional(fields.state, readState) ?? 'up',
    backup: optional(fields.backup, readBackup) ?? false,
    ...(weight !== undefined && { weight }),
    ...(labels !== undefined && { labels }),
    ...(serverOptions !== undefined && { serverOptions }),
  });
}

/**
 * Reads a registry value: the original's record (`host`, `port`, `name`, `weight`, `haproxy_server_options`, `labels`)
 * and our additions (`backup`, `state`). Other fields are ignored. Ports and weights may be strings of digits, as
 * the original's tools write them. Fields that cannot be used are left out, see {@link takeInstance}.
 * @throws {InvalidRecord} when the value is no record with a host and a port
 */
export function parseInstance(value: Buffer | string, maxBytes: number = maxRecordBytes): Instance {
  return takeRecord(readJson(value, maxBytes));
}

/** Reads the JSON of a record. @throws {InvalidRecord} when it is none, too large, or nested too deeply */
export function readJson(value: Buffer | string, maxBytes: number): unknown {
  checkSize(value, maxBytes);
  try {
    return parseBoundedJson(value.toString());
  } catch (error) {
    if (error instanceof RangeError) throw new InvalidRecord(error.message);
    // The parser's own message repeats the text and names no place in it.
    throw new InvalidRecord(`not JSON: ${quote(value.toString())}`);
  }
}

/** Takes a record that is already parsed, as {@link parseInstance} does. @throws {InvalidRecord} as that */
export function takeRecord(record: unknown): Instance {
  return takeInstance(fieldsOf(record));
}

/** @throws {InvalidRecord} when a record is larger than `maxBytes` */
export function checkSize(value: Buffer | string, maxBytes: number): void {
  if (value.length > maxBytes) throw new InvalidRecord(`${value.length} bytes: at most ${maxBytes} are read`);
}

/**
 * Reads a record that is already parsed, as in a configuration file.
 * @throws {InvalidRecord} naming the first field that cannot be used
 */
export function readRecord(record: unknown): Instance {
  const { serverOptions, ...fields } = fieldsOf(record);
  // The original ignores anything but a string here, and so do we.
  const options = typeof serverOptions === 'string' ? { serverOptions } : {};
  return build({ ...fields, ...options }, (problem) => {
    throw problem;
  });
}

function fieldsOf(record: unknown): FoundFields {
  if (record === null || typeof record !== 'object' || Array.isArray(record)) {
    throw new InvalidRecord(`${quote(record)}: must be an object with host and port`);
  }
  const { name, host, port, state, backup, weight, labels, haproxy_server_options } = record as Record<string, unknown>;
  const serverOptions = haproxy_server_options;
  return { name, host, port: digits(port), state, backup, weight: digits(weight), labels, serverOptions };
}

/**
 * The registry value: compact JSON, the original's keys first and in its order, ours after, only what is set.
 * @param announcedAt when nerve decided to announce this, by nerve's clock, ISO 8601 in UTC. It is only shown, so it is not
 *   a part of the {@link Instance}. etcd itself stores no times.
 */
export function formatInstance(instance: Instance, announcedAt?: string): string {
  const { host, port, name, weight, serverOptions, labels, backup, state } = instance;
  return JSON.stringify({
    host,
    port,
    name,
    weight,
    haproxy_server_options: serverOptions,
    labels,
    backup: backup || undefined,
    state: state === 'up' ? undefined : state,
    announced_at: announcedAt,
  });
}

/** `announced_at` of a registry value, see {@link formatInstance}; null when it is missing or not a time. */
export function announcedAtOf(value: Buffer | string): string | null {
  if (value.length > maxRecordBytes) return null;
  try {
    const { announced_at: at } = parseBoundedJson(value.toString()) as { readonly announced_at?: unknown };
    return typeof at === 'string' && timePattern.test(at) && !Number.isNaN(Date.parse(at)) ? at : null;
  } catch {
    return null;
  }
}

/** True for 1..65535. */
export function isPort(port: unknown): port is number {
  return typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65535;
}

/** True for an IPv4 or IPv6 address (without zone or brackets) and for a host name. */
export function isHost(host: unknown): host is string {
  if (typeof host !== 'string') return false;
  if (isIP(host) !== 0) return !host.includes('%');
  // A name of digits and dots only would be a mistyped address, such as 10.0.0.256.
  return hostNamePattern.test(host) && !/^[0-9.]+$/.test(host);
}

function digits(value: unknown): unknown {
  return typeof value === 'string' && /^[0-9]{1,9}$/.test(value) ? Number(value) : value;
}

/** Equal in every field. */
export function sameInstance(a: Instance | undefined, b: Instance): boolean {
  if (a === b) return true;
  return (
    a !== undefined &&
    a.id === b.id &&
    a.name === b.name &&
    a.host === b.host &&
    a.port === b.port &&
    a.state === b.state &&
    a.backup === b.backup &&
    a.weight === b.weight &&
    a.serverOptions === b.serverOptions &&
    sameTexts(a.dropped, b.dropped) &&
    sameLabels(a.labels, b.labels)
  );
}

function sameLabels(a: Instance['labels'] = {}, b: Instance['labels'] = {}): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}

function sameTexts(a: readonly string[] = [], b: readonly string[] = []): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}
