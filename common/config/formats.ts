import { reasonOf } from '../daemon/log.ts';
import { type Instance, isHost, isPort, makeInstance, readRecord } from '../instance.ts';
import { durationUnits } from '../wording.ts';
import { durationText } from './json-values.ts';
import { show } from './secrets.ts';

/** Converts a value of a configuration file to the option's value. @throws saying what is allowed */
export type Parse = (value: unknown) => unknown;

const durationPattern = new RegExp(durationText);

/** setTimeout's largest delay (2^31 - 1 ms); a longer one would fire at once. */
const maxDuration = 2 ** 31 - 1;

/**
 * The formats of options by name. Strings of digits and 'true'/'false' count as numbers and booleans, because environment
 * variables can only hold strings. Each format also exists as `optional-…`, which accepts null.
 */
export const formats = {
  '*': (value) => value,
  /** Any string. */
  string: (value) => need(typeof value === 'string', value, 'must be a string (put it in quotes)'),
  'non-empty-string': (value) =>
    need(typeof value === 'string' && value.trim() !== '', value, 'must be a string that is not empty'),
  boolean: (value) => {
    if (typeof value === 'boolean') return value;
    // Ruby's YAML reads yes/no and on/off as booleans, and configurations of SmartStack use them.
    const text = typeof value === 'string' ? value.toLowerCase() : '';
    if (text === 'true' || text === 'yes' || text === 'on') return true;
    return need(text === 'false' || text === 'no' || text === 'off', false, 'must be true or false');
  },
  number: (value) => number(value, 'must be a number'),
  integer: (value) => whole(value, 'must be a whole number'),
  'natural-number': (value) => atLeast(0, value, 'must be a whole number, 0 or more'),
  'positive-integer': (value) => atLeast(1, value, 'must be a whole number, 1 or more'),
  port: (value) => {
    const allowed = 'must be a port, a whole number from 1 to 65535';
    const port = whole(value, allowed);
    return need(isPort(port), port, allowed);
  },
  /** An IP address without brackets, or a host name. */
  host: (value) => need(isHost(value), value, `must be an IP address or a host name${hostHint(value)}`),
  /** Milliseconds; in the file a number of seconds, or a string with a unit. */
  duration: (value) => duration(value),
  'positive-duration': (value) => need(duration(value) > 0, duration(value), 'must be longer than 0'),
  /** HAProxy's range. */
  weight: (value) => {
    const allowed = 'must be a whole number from 0 to 256';
    const weight = atLeast(0, value, allowed);
    return need(weight <= 256, weight, allowed);
  },
  object: (value) => need(isObject(value), value, 'must be an object of options'),
  list: (value) => need(Array.isArray(value), value, 'must be a list'),
  /** A list of strings; a single string becomes a list. */
  strings: (value) => {
    const list = typeof value === 'string' ? [value] : value;
    return need(isStrings(list), list, 'must be a list of strings');
  },
  /** Lines of text: a list of strings, or one string of several lines. */
  lines: (value) => {
    const list = typeof value === 'string' ? value.split('\n').filter((line) => line.trim() !== '') : value;
    const allowed = 'must be a list of strings, one per line, without control characters';
    // A tab is allowed: it indents.
    return need(isStrings(list) && list.every((line) => !/[^\P{Cc}\t]/u.test(line)), list, allowed);
  },
  /** Strings by name. */
  labels: (value) => {
    const fine = isObject(value) && Object.values(value).every((item) => typeof item === 'string');
    return need(fine, value, 'must be an object whose values are strings (put them in quotes)');
  },
  /** A list of `host`, `host:port` or `http(s)://host:port`, or one comma-separated string of them. */
  hosts: (value) => {
    const list = typeof value === 'string' ? value.split(',') : value;
    const allowed = 'must be a list of http://HOST:PORT or https://HOST:PORT, or one comma-separated string of them';
    if (!isStrings(list)) throw new Error(allowed);
    const hosts = list.map((host) => host.trim()).filter((host) => host !== '');
    return need(hosts.length > 0 && hosts.every(isHostUrl), hosts, allowed);
  },
  /** `HOST:PORT` to listen on, or false. Port 0 takes any free one. */
  listen: (value) => {
    if (value === false || value === 'false') return false;
    const match = typeof value === 'string' ? /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(value) : null;
    const fine = match !== null && isHost(match[1] ?? match[2]) && Number(match[3]) <= 65535;
    return need(fine, value, 'must be HOST:PORT, or false for none');
  },
  /** File permissions in octal: `"0660"`. */
  'file-mode': (value) => {
    const match = typeof value === 'string' ? /^0?([0-7]{3})$/.exec(value) : null;
    if (match === null) throw new Error('must be file permissions in octal, in quotes, such as "0660"');
    return Number.parseInt(String(match[1]), 8);
  },
} as const satisfies Readonly<Record<string, Parse>>;

/** The name of a format; with `optional-` it accepts null too. */
export type FormatName = keyof typeof formats | `optional-${keyof typeof formats}`;

/** True for an object of JSON, which YAML calls a map. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function need<T>(fine: boolean, value: T, allowed: string): T {
  if (!fine) throw new Error(allowed);
  return value;
}

function number(value: unknown, allowed: string): number {
  const found = typeof value === 'string' && /^-?\d{1,15}(?:\.\d{1,15})?$/.test(value.trim()) ? Number(value) : value;
  if (typeof found !== 'number' || !Number.isFinite(found)) throw new Error(allowed);
  return found;
}

function whole(value: unknown, allowed: string): number {
  const found = number(value, allowed);
  return need(Number.isSafeInteger(found), found, allowed);
}

function atLeast(least: number, value: unknown, allowed: string): number {
  const found = whole(value, allowed);
  return need(found >= least, found, allowed);
}

function duration(value: unknown): number {
  const match = typeof value === 'string' ? durationPattern.exec(value) : null;
  const found =
    match === null ? value : Number(match[1]) * durationUnits[(match[2] ?? 's') as keyof typeof durationUnits];
  const milliseconds = match === null && typeof found === 'number' ? found * 1000 : found;
  const allowed = 'must be a time: a number of seconds, or "500ms", "2s", "1m"; at most 24 days';
  if (typeof milliseconds !== 'number' || !(milliseconds >= 0 && milliseconds <= maxDuration)) throw new Error(allowed);
  return milliseconds;
}

/** What to write instead of a URL, or an address with its port. */
function hostHint(value: unknown): string {
  const host =
    typeof value === 'string' ? /^(?:[a-z]+:\/\/)?\[?([^\s/[\]]+?)\]?(?::\d+)?(?:\/.*)?$/i.exec(value)?.[1] : undefined;
  return isHost(host) ? ` alone, such as ${host}` : '';
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isHostUrl(text: string): boolean {
  try {
    const url = new URL(text.includes('://') ? text : `http://${text}`);
    const bare = url.username === '' && url.password === '' && url.pathname === '/' && url.search + url.hash === '';
    return bare && (url.protocol === 'http:' || url.protocol === 'https:');
  } catch {
    return false;
  }
}

/**
 * The format of options that list instances, such as `default_servers`.
 * @throws naming the entry that cannot be used
 */
export function readRecords(value: unknown): readonly Instance[] {
  if (!Array.isArray(value)) throw new Error('must be a list of {host, port, …}');
  const owners = new Map<number, number>();
  return value.map((record, index) => {
    try {
      const instance = readRecord(record);
      const serverId = readServerId(record);
      if (serverId === undefined) return instance;
      const other = owners.get(serverId);
      if (other !== undefined) throw new Error(`haproxy_server_id ${serverId}: entry ${other} has it too`);
      owners.set(serverId, index);
      return withServerId(instance, serverId);
    } catch (error) {
      throw new Error(`entry ${index}: ${reasonOf(error)}`, { cause: error });
    }
  });
}

/** HAProxy's largest number of a server (configuration manual, section 5.2 "id"). */
const largestServerId = 2_147_483_647;

/** SmartStack's `haproxy_server_id`: the number of the server in HAProxy. */
function readServerId(record: unknown): number | undefined {
  const given = isObject(record) ? record.haproxy_server_id : undefined;
  if (given === undefined || given === null) return undefined;
  const id = typeof given === 'string' && /^[0-9]{1,10}$/.test(given) ? Number(given) : given;
  if (typeof id === 'number' && Number.isInteger(id) && id >= 1 && id <= largestServerId) return id;
  throw new Error(`haproxy_server_id ${show(given)}: must be a whole number from 1 to ${largestServerId}`);
}

/** The server option `id` means the same. */
function withServerId(instance: Instance, serverId: number): Instance {
  const { serverOptions = '' } = instance;
  const option = `id ${serverId}`;
  if (/(?:^|\s)id\s/.test(serverOptions)) {
    throw new Error(`haproxy_server_id ${serverId}: haproxy_server_options has an id too; give one of them`);
  }
  return makeInstance({ ...instance, serverOptions: serverOptions === '' ? option : `${serverOptions} ${option}` });
}
