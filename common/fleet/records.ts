import { isObject } from '../config/formats.ts';
import type { Entry } from '../etcd/client/key-value.ts';
import { readJson } from '../instance.ts';
import { InvalidRecord } from '../instance-fields.ts';
import { quote } from '../wording.ts';

/** The version that is written. A later one only adds fields: readers take every version, and ignore what they do not know. */
const version = 1;

/** The largest records that are read, in bytes. A synapse folds its paths until its record fits: see {@link foldPaths}. */
export const maxBytes = { proxy: 64 * 1024, request: 4 * 1024, ack: 4 * 1024 } as const;

/** A synapse that takes part. Its record goes with the lease that its acknowledgements have too. */
export interface ProxyRecord {
  readonly host: string;
  /** Of synapse. */
  readonly version: string;
  /**
   * Random, and new at each start of synapse. An acknowledgement counts only while the proxy has the same session: one of an
   * earlier process, or of another synapse with the same id, says nothing about this one.
   */
  readonly session: string;
  /** ISO 8601. */
  readonly startedAt: string;
  /**
   * Folders of keys, without a slash at the end, that this synapse follows in the etcd in which this record is. They may have
   * more keys than it uses: it acknowledges every request that {@link concerns} them.
   */
  readonly paths: readonly string[];
  readonly haproxyProcesses: number;
}

/** What the servers of an instance must be, in every HAProxy. */
export type Expectation = 'drained' | 'up' | 'gone';

/** A question to all proxies. It goes with the lease of the process that asks. */
export type RequestRecord = {
  /** Who asks, for people. */
  readonly by: string;
  /**
   * What must have been applied: everything up to this revision of etcd. For an instance, not less than the revision at which
   * its record got the expected state, so that no synapse judges an earlier record.
   */
  readonly revision: number;
} & (
  | { readonly kind: 'instance'; readonly path: string; readonly key: string; readonly expect: Expectation }
  /** `path` is undefined for everything that a synapse follows. */
  | { readonly kind: 'revision'; readonly path?: string }
);

/**
 * - `applied`: every HAProxy process of the host was read back and is as expected, the file too, and no older reload is under way
 * - `quiet`: applied, and no connection or queued request is left for the server, in workers on their way out neither
 * - `unused`: this synapse has no server for the instance, and cannot get one from this record
 * - `cannot`: it is not so, or not known; `reason` says why. A later acknowledgement replaces it
 */
export type AckResult = 'applied' | 'quiet' | 'unused' | 'cannot';

/** The acknowledgement of one synapse. It is written again when it is no longer true. */
export interface AckRecord {
  readonly result: AckResult;
  /** The session of the proxy that acknowledges. */
  readonly session: string;
  /** Everything up to this revision of etcd has been applied. */
  readonly revision: number;
  /** By the clock of that host, ISO 8601. */
  readonly appliedAt: string;
  /** From when that synapse saw the request until it was applied, milliseconds. */
  readonly ms: number;
  /** Open connections to the server, in all processes and workers that were asked. */
  readonly connections: number;
  /** Requests that wait for the server. */
  readonly queued: number;
  /** Workers of HAProxy that are on their way out. */
  readonly oldWorkers: number;
  /** Those of them that could not be asked: what they still send is not known. */
  readonly oldWorkersUnasked: number;
  /** Why it is not as expected, or what is left; null when there is nothing to say. */
  readonly reason: string | null;
}

/** The value of a proxy's key. */
export function formatProxy(record: ProxyRecord): string {
  const { host, version: program, session, startedAt, paths, haproxyProcesses } = record;
  return JSON.stringify({
    v: version,
    host,
    version: program,
    session,
    started_at: startedAt,
    haproxy_processes: haproxyProcesses,
    paths,
  });
}

/** Reads the value of a proxy's key. @throws {InvalidRecord} naming the field */
export function parseProxy(value: Buffer | string): ProxyRecord {
  const record = readRecord(value, maxBytes.proxy);
  const { host, version: program, session, started_at, paths, haproxy_processes } = record;
  if (!Array.isArray(paths)) throw new InvalidRecord('paths: must be a list');
  return {
    host: text(host, 'host', 256),
    version: text(program, 'version', 64),
    session: text(session, 'session', 64),
    startedAt: time(started_at, 'started_at'),
    paths: paths.map((path) => keyText(path, 'paths')),
    haproxyProcesses: natural(haproxy_processes, 'haproxy_processes'),
  };
}

/** The value of a request's key. */
export function formatRequest(record: RequestRecord): string {
  const { by, revision, path } = record;
  const instance = record.kind === 'instance' ? { key: record.key, expect: record.expect } : {};
  return JSON.stringify({ v: version, by, revision, path, ...instance });
}

/** Reads the value of a request's key. @throws {InvalidRecord} naming the field */
export function parseRequest(value: Buffer | string): RequestRecord {
  const { by, revision, path, key, expect } = readRecord(value, maxBytes.request);
  const common = { by: text(by, 'by', 256), revision: natural(revision, 'revision') };
  if (key === undefined) {
    return { kind: 'revision', ...common, ...(path !== undefined && { path: keyText(path, 'path') }) };
  }
  if (expect !== 'drained' && expect !== 'up' && expect !== 'gone') {
    throw new InvalidRecord(`expect ${quote(expect)}: must be drained, up or gone`);
  }
  const folder = keyText(path, 'path');
  const instance = keyText(key, 'key');
  if (!isBelow(instance, folder)) throw new InvalidRecord(`key ${quote(instance)}: must be below path`);
  return { kind: 'instance', ...common, path: folder, key: instance, expect };
}

/** Reads a request from etcd. One without a lease would stay for ever. @throws {InvalidRecord} saying why it is no request */
export function readRequest({ value, lease }: Pick<Entry, 'value' | 'lease'>): RequestRecord {
  if (lease === '0') throw new InvalidRecord('it has no lease');
  return parseRequest(value);
}

/** The value of an acknowledgement's key. */
export function formatAck(record: AckRecord): string {
  const { result, session, revision, appliedAt, ms, connections, queued, oldWorkers, oldWorkersUnasked } = record;
  return JSON.stringify({
    v: version,
    result,
    session,
    revision,
    applied_at: appliedAt,
    ms: Math.round(ms * 10) / 10,
    connections,
    queued,
    old_workers: oldWorkers,
    old_workers_unasked: oldWorkersUnasked,
    reason: record.reason === null ? undefined : record.reason.slice(0, longestReason),
  });
}

/** Reads the value of an acknowledgement's key. @throws {InvalidRecord} naming the field */
export function parseAck(value: Buffer | string): AckRecord {
  const record = readRecord(value, maxBytes.ack);
  const { result, ms, reason = null } = record;
  if (result !== 'applied' && result !== 'quiet' && result !== 'unused' && result !== 'cannot') {
    throw new InvalidRecord(`result ${quote(result)}: must be applied, quiet, unused or cannot`);
  }
  if (typeof ms !== 'number' || !(ms >= 0)) throw new InvalidRecord(`ms ${quote(ms)}: must be a number, 0 or more`);
  return {
    result,
    session: text(record.session, 'session', 64),
    revision: natural(record.revision, 'revision'),
    appliedAt: time(record.applied_at, 'applied_at'),
    ms,
    connections: natural(record.connections, 'connections'),
    queued: natural(record.queued, 'queued'),
    oldWorkers: natural(record.old_workers, 'old_workers'),
    oldWorkersUnasked: natural(record.old_workers_unasked, 'old_workers_unasked'),
    reason: reason === null ? null : text(reason, 'reason', longestReason),
  };
}

/** True when a synapse that follows these paths has to acknowledge the request: so it is counted, and so it acknowledges. */
export function concerns(request: RequestRecord, paths: readonly string[]): boolean {
  if (request.kind === 'instance') return paths.some((path) => isBelow(request.key, path));
  const { path: asked } = request;
  if (asked === undefined) return true;
  return paths.some((path) => path === asked || isBelow(path, asked) || isBelow(asked, path));
}

/**
 * True when the acknowledgement says that the request is fulfilled. Workers on their way out that could not be asked may still
 * send new requests of connections that clients keep open.
 */
export function fulfils({ result, revision, oldWorkersUnasked }: AckRecord, request: RequestRecord): boolean {
  if (revision < request.revision) return false;
  if (result === 'unused') return oldWorkersUnasked === 0;
  if (request.kind === 'revision') return result === 'applied' || result === 'quiet';
  if (request.expect === 'up') return result === 'applied' || result === 'quiet';
  return result === 'quiet' && oldWorkersUnasked === 0;
}

/** The JSON of the paths of a proxy has at most this many bytes. */
const maxPathsBytes = 32 * 1024;

/**
 * The paths as a proxy's record has them: sorted, without those below others, and with folders in place of many paths when they
 * are too long for a record.
 */
export function foldPaths(paths: Iterable<string>): readonly string[] {
  let folded = withoutNested([...paths]);
  while (Buffer.byteLength(JSON.stringify(folded)) > maxPathsBytes) {
    const deepest = Math.max(...folded.map((path) => path.split('/').length));
    if (deepest <= 2) break;
    const shorter = folded.map((path) => (path.split('/').length === deepest ? path.replace(/\/[^/]*$/, '') : path));
    folded = withoutNested(shorter);
  }
  return folded;
}

function withoutNested(paths: readonly string[]): readonly string[] {
  const all = new Set(paths);
  const isNested = (path: string): boolean => {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      if (all.has(path.slice(0, end))) return true;
    }
    return false;
  };
  return [...all].filter((path) => !isNested(path)).sort();
}

function isBelow(key: string, folder: string): boolean {
  return key.startsWith(`${folder}/`);
}

const longestReason = 500;

function readRecord(value: Buffer | string, limit: number): Readonly<Record<string, unknown>> {
  const record = readJson(value, limit);
  if (!isObject(record)) throw new InvalidRecord(`${quote(record)}: must be an object`);
  const { v } = record;
  if (typeof v !== 'number' || !Number.isInteger(v) || v < 1) {
    throw new InvalidRecord(`v ${quote(v)}: must be the version of the record, 1 or more`);
  }
  return record;
}

function text(value: unknown, name: string, longest: number): string {
  if (typeof value === 'string' && value !== '' && value.length <= longest) return value;
  throw new InvalidRecord(`${name} ${quote(value)}: must be text of 1 to ${longest} characters`);
}

/** A key, or a folder of keys. */
function keyText(value: unknown, name: string): string {
  const key = text(value, name, 1024);
  if (key.endsWith('/')) throw new InvalidRecord(`${name} ${quote(key)}: must not end with a slash`);
  return key;
}

function time(value: unknown, name: string): string {
  const at = text(value, name, 32);
  if (!/^\d{4}-\d{2}-\d{2}T[\d:.]{5,}Z$/.test(at) || Number.isNaN(Date.parse(at))) {
    throw new InvalidRecord(`${name} ${quote(at)}: must be a time in ISO 8601, in UTC`);
  }
  return at;
}

function natural(value: unknown, name: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new InvalidRecord(`${name} ${quote(value)}: must be a whole number, 0 or more`);
}
