import { isIP } from 'node:net';
import { parseBoundedJson } from './bounded-json.ts';
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
}

/** The fields of an {@link Instance} without its id, which follows from name, host and port. */
export type InstanceFields = Omit<Instance, 'id' | 'name' | 'state' | 'backup'> &
  Partial<Pick<Instance, 'name' | 'state' | 'backup'>>;

/** A record cannot be used. The message has the field, its value (shortened) and what is allowed. */
export class InvalidRecord extends Error {
  override readonly name = 'InvalidRecord';
}

/** The largest record that any registry may have. Real records have a few hundred bytes; a larger one is a mistake or an attack. */
export const maxRecordBytes = 64 * 1024;

/** HAProxy accepts these in a server name (configuration manual, section 2.2 "letters, digits, '-', '_', '.' and ':'"). */
const namePattern = /^[A-Za-z0-9_.:-]{1,128}$/;
/** RFC 1123 host names; also accepts the underscore that Docker and some DNS zones use. */
const hostNamePattern =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$/;
/** Printable ASCII without characters that are special in haproxy.cfg or on the runtime API: quotes, `\`, `#`, `;`, `$`, `<`. */
const optionsPattern = /^[A-Za-z0-9 _.,:/@%+=()[\]{}*!?&|^~-]*$/;

/** ISO 8601 in UTC, as `Date` writes it. */
const timePattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

/** The name HAProxy and `etcdctl` show for an instance, and the last segment of its key. */
export function instanceId(name: string, host: string, port: number): string {
  return name === '' ? `${host}:${port}` : `${name}_${host}:${port}`;
}

/**
 * Checks every field and freezes the result.
 * @throws {InvalidRecord} naming the first field that cannot be used
 */
export function makeInstance(fields: InstanceFields): Instance {
  const { name = '', host, port, state = 'up', backup = false, weight, labels, serverOptions } = fields;
  if (name !== '' && !isInstanceName(name)) {
    throw new InvalidRecord(`name ${quote(name)}: allowed are up to 128 of A-Z a-z 0-9 _ . : -`);
  }
  if (!isHost(host)) throw new InvalidRecord(`host ${quote(host)}: must be an IP address or a host name`);
  if (!isPort(port)) throw new InvalidRecord(`port ${quote(port)}: must be a whole number from 1 to 65535`);
  if (weight !== undefined && !(Number.isInteger(weight) && weight >= 0 && weight <= 256)) {
    throw new InvalidRecord(`weight ${quote(weight)}: must be a whole number from 0 to 256`);
  }
  if (serverOptions !== undefined && !(serverOptions.length <= 1024 && optionsPattern.test(serverOptions))) {
    throw new InvalidRecord(
      `haproxy_server_options ${quote(serverOptions)}: quotes and control characters are not allowed`,
    );
  }
  return Object.freeze({
    id: instanceId(name, host, port),
    name,
    host,
    port,
    state,
    backup,
    ...(weight !== undefined && { weight }),
    ...(labels !== undefined && { labels: checkLabels(labels) }),
    ...(serverOptions !== undefined && { serverOptions }),
  });
}

/**
 * Reads a registry value: the original's record (`host`, `port`, `name`, `weight`, `haproxy_server_options`, `labels`)
 * and our additions (`backup`, `state`). Other fields are ignored. Ports and weights may be strings of digits, as
 * the original's tools write them.
 * @throws {InvalidRecord} when the value is not such a record; nothing of it may be used then
 */
export function parseInstance(value: Buffer | string, maxBytes: number = maxRecordBytes): Instance {
  checkSize(value, maxBytes);
  let record: unknown;
  try {
    record = parseBoundedJson(value.toString());
  } catch (error) {
    if (error instanceof RangeError) throw new InvalidRecord(error.message);
    // The parser's own message repeats the text and names no place in it.
    throw new InvalidRecord(`not JSON: ${quote(value.toString())}`);
  }
  return readRecord(record);
}

/** @throws {InvalidRecord} when a record is larger than `maxBytes` */
export function checkSize(value: Buffer | string, maxBytes: number): void {
  if (value.length > maxBytes) throw new InvalidRecord(`${value.length} bytes: at most ${maxBytes} are read`);
}

/**
 * Reads a record that is already parsed, as in a configuration file.
 * @throws {InvalidRecord} see {@link parseInstance}
 */
export function readRecord(record: unknown): Instance {
  if (record === null || typeof record !== 'object' || Array.isArray(record)) {
    throw new InvalidRecord(`${quote(record)}: must be an object with host and port`);
  }
  const fields = record as Record<string, unknown>;
  const name = fields.name ?? '';
  if (typeof name !== 'string') throw new InvalidRecord(`name ${quote(name)}: must be a string`);
  const state = fields.state ?? 'up';
  if (state !== 'up' && state !== 'drain' && state !== 'down') {
    throw new InvalidRecord(`state ${quote(state)}: must be up, drain or down`);
  }
  const backup = fields.backup ?? false;
  if (typeof backup !== 'boolean') throw new InvalidRecord(`backup ${quote(backup)}: must be true or false`);
  const { weight, labels, haproxy_server_options: serverOptions } = fields;
  return makeInstance({
    name,
    host: fields.host as string,
    port: digits(fields.port) as number,
    state,
    backup,
    ...(weight !== undefined && weight !== null && { weight: digits(weight) as number }),
    ...(labels !== undefined && labels !== null && { labels: labels as Record<string, string> }),
    // The original ignores anything but a string here, and so do we.
    ...(typeof serverOptions === 'string' && { serverOptions }),
  });
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

/** True for a name that an instance may have. */
export function isInstanceName(name: unknown): name is string {
  return typeof name === 'string' && namePattern.test(name);
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

function checkLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (labels === null || typeof labels !== 'object' || Array.isArray(labels)) {
    throw new InvalidRecord(`labels ${quote(labels)}: must be an object of strings`);
  }
  const entries = Object.entries(labels);
  if (entries.length > 64) throw new InvalidRecord(`labels: ${entries.length} of them, at most 64 are allowed`);
  for (const [key, value] of entries) {
    if (typeof value !== 'string') throw new InvalidRecord(`labels.${quote(key)} ${quote(value)}: must be a string`);
    if (key.length > 256 || value.length > 1024) throw new InvalidRecord(`labels.${quote(key)}: too long`);
    if (hasControl(key) || hasControl(value))
      throw new InvalidRecord(`labels.${quote(key)}: control characters are not allowed`);
  }
  // A null prototype: a label named __proto__ is only a label.
  return Object.freeze(Object.assign(Object.create(null), labels));
}

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 32 || code === 127) return true;
  }
  return false;
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
    sameLabels(a.labels, b.labels)
  );
}

function sameLabels(a: Instance['labels'] = {}, b: Instance['labels'] = {}): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}
