import { readFile, rename } from 'node:fs/promises';
import { clock } from '../../common/async/clock.ts';
import { sleep } from '../../common/async/sleep.ts';
import { isObject } from '../../common/config/formats.ts';
import { type Log, reasonOf } from '../../common/daemon/log.ts';
import { removeUnfinished, writeFileAtomic } from '../../common/file.ts';
import { formatInstance, readRecord } from '../../common/instance.ts';
import type { Published } from '../../common/published.ts';
import type { InstanceSet } from '../source.ts';
import type { Expired } from './expiry-guard.ts';

/** Where the last good catalog is kept. */
export interface StateFile {
  readonly path: string;
  /** Milliseconds after which what the file says about a service is too old to be used. */
  readonly ttl: number;
}

export interface CacheOptions extends StateFile {
  /** Milliseconds between two writes at least; changes in between share one. Default 5 s. */
  readonly interval?: number;
}

/** What is to be remembered of one service. */
export interface CacheInput extends KeptWith {
  readonly set: InstanceSet;
  /** The set is known to be right at this moment. */
  readonly current: boolean;
}

/** One service as the file has it. */
export interface CachedService extends KeptWith {
  readonly set: InstanceSet;
  /** When the set was last known to be right, in milliseconds of `clock.wallTime()`. */
  readonly at: number;
}

/** What is remembered beside the set. */
interface KeptWith {
  /** The configuration from the registry that is in force. */
  readonly published?: Published | undefined;
  /** Those of its instances that are kept although their leases expired, by id. */
  readonly suspects?: ReadonlyMap<string, Expired> | undefined;
}

/** The last good catalog on disk, so that a start while the registry is away knows what to serve. */
export interface Cache {
  /** Something changed; it will be on disk within the interval. */
  touch(): void;
  /** Writes while there is something to write; the last time when `signal` aborts. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

const version = 1;

/**
 * Reads the file. Services older than the ttl are left out. A file that is not ours or is damaged is set aside as
 * `<path>.damaged` and reported; a missing one is an empty one. Never rejects: a cache that cannot be read is no
 * reason not to start.
 */
export async function readCache(
  options: CacheOptions,
  deps: { log: Log },
): Promise<ReadonlyMap<string, CachedService>> {
  const { path } = options;
  await removeUnfinished(path);
  const { services, unreadable, damaged } = await peekCache(options);
  if (unreadable) deps.log.error('the state file cannot be read', { path, reason: unreadable });
  if (damaged) {
    deps.log.error('the state file is damaged and not used', { path, reason: damaged });
    await rename(path, `${path}.damaged`).catch((cause) => {
      deps.log.error('the damaged state file cannot be set aside', { path, reason: reasonOf(cause) });
    });
  }
  return services;
}

/** What the file says, and why it says nothing. */
export interface Peeked {
  readonly services: ReadonlyMap<string, CachedService>;
  /** There is no file. */
  readonly missing?: true;
  readonly unreadable?: string;
  readonly damaged?: string;
}

/** The same without touching anything. Never rejects. */
export async function peekCache({ path, ttl }: Pick<CacheOptions, 'path' | 'ttl'>): Promise<Peeked> {
  const services = new Map<string, CachedService>();
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { services, missing: true };
    return { services, unreadable: reasonOf(error) };
  }
  try {
    const now = clock.wallTime();
    // Both ways: a time in the future is as wrong as one too long ago.
    return { services: new Map([...parseCache(text)].filter(([, { at }]) => Math.abs(now - at) <= ttl)) };
  } catch (error) {
    return { services, damaged: reasonOf(error) };
  }
}

/** Keeps the file up to date with what `read` returns at the time of writing. */
export function createCache(
  options: CacheOptions,
  read: () => Iterable<readonly [string, CacheInput]>,
  deps: { readonly log: Log; readonly restored?: ReadonlyMap<string, CachedService> },
): Cache {
  const { path, ttl, interval = 5_000 } = options;
  const { log } = deps;
  // What is unchanged for long must not look old: written again well before it expires.
  const refresh = Math.min(ttl / 4, 3_600_000);
  let written = deps.restored ?? new Map<string, CachedService>();
  let wake: (() => void) | undefined; // ends the wait for the next touch
  let dirty = false;
  let failing = false;

  const write = async (): Promise<void> => {
    dirty = false;
    const now = clock.wallTime();
    const next = new Map<string, CachedService>();
    for (const [name, { set, current, published, suspects }] of read()) {
      const last = written.get(name);
      next.set(name, { set, at: current || last?.set !== set ? now : last.at, published, suspects });
    }
    try {
      await writeFileAtomic(path, formatCache(next));
      written = next;
      if (failing) log.info('the state file is written again', { path });
      failing = false;
    } catch (error) {
      dirty = true;
      if (!failing) log.error('the state file cannot be written', { path, reason: reasonOf(error) });
      failing = true;
    }
  };

  return {
    touch() {
      dirty = true;
      wake?.();
    },
    async run(signal) {
      while (!signal.aborted) {
        if (!dirty) await nextTouch(refresh, signal);
        if (signal.aborted) break;
        await sleep(interval, signal);
        await write();
      }
      if (dirty) await write();
    },
  };

  /** Resolves at the next touch, after `limit` milliseconds, or at abort. */
  function nextTouch(limit: number, signal: AbortSignal): Promise<void> {
    const touched = new AbortController();
    wake = () => touched.abort();
    return sleep(limit, AbortSignal.any([signal, touched.signal]));
  }
}

/** The text of each set's instances, made once. */
const texts = new WeakMap<InstanceSet, string>();

function formatCache(services: ReadonlyMap<string, CachedService>): string {
  const lines = [...services].map(([name, { set, at, published, suspects }]) => {
    let text = texts.get(set);
    if (text === undefined) {
      const instances = `"instances":[${set.instances.map((one) => formatInstance(one)).join(',')}]`;
      text = set.sequence === undefined ? instances : `${instances},"sequence":${JSON.stringify(set.sequence)}`;
      texts.set(set, text);
    }
    const more = [
      ...(published === undefined ? [] : [`,"published":${JSON.stringify(published)}`]),
      ...(suspects === undefined || suspects.size === 0 ? [] : [`,"suspects":[${formatSuspects(suspects)}]`]),
    ];
    return `${JSON.stringify(name)}:{"at":${at},${text}${more.join('')}}`;
  });
  return `{"version":${version},"services":{\n${lines.join(',\n')}\n}}\n`;
}

function formatSuspects(suspects: ReadonlyMap<string, Expired>): string {
  const offset = clock.wallTime() - clock.now();
  return [...suspects.values()]
    .map(({ instance, at }) => `{"at":${Math.round(at + offset)},"instance":${formatInstance(instance)}}`)
    .join(',');
}

/** @throws when anything in it is not as written: half a catalog is worse than none */
function parseCache(text: string): Map<string, CachedService> {
  const file = JSON.parse(text) as { version?: unknown; services?: unknown } | null;
  if (file?.version !== version) throw new Error(`version ${JSON.stringify(file?.version)}: must be ${version}`);
  if (!isObject(file.services)) throw new Error('services: must be an object');
  const services = new Map<string, CachedService>();
  for (const [name, entry] of Object.entries(file.services)) {
    if (!isObject(entry) || typeof entry.at !== 'number' || !Array.isArray(entry.instances)) {
      throw new Error(`services.${name}: must have at and instances`);
    }
    const instances = entry.instances.map(readRecord);
    const sequence = readSequence(entry.sequence, instances.length);
    const set = { instances, rejected: [], seenAt: clock.now(), ...(sequence && { sequence }) };
    const published = readPublished(entry.published);
    const suspects = readSuspects(entry.suspects);
    services.set(name, { set, at: entry.at, ...(published && { published }), ...(suspects && { suspects }) });
  }
  return services;
}

function readPublished(value: unknown): Published | undefined {
  if (value === undefined) return undefined;
  if (isObject(value) && typeof value.where === 'string' && isObject(value.value)) {
    return { where: value.where, value: value.value };
  }
  throw new Error('published: must have where and value');
}

function readSuspects(value: unknown): ReadonlyMap<string, Expired> | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw new Error('suspects: must be a list');
  const offset = clock.wallTime() - clock.now();
  return new Map(
    value.map((entry: unknown) => {
      if (!isObject(entry) || typeof entry.at !== 'number') throw new Error('suspects: must have at and instance');
      const instance = readRecord(entry.instance);
      // A clock that was put back must not keep a suspect for longer than its time.
      return [instance.id, { instance, at: Math.min(entry.at - offset, clock.now()) }];
    }),
  );
}

function readSequence(value: unknown, length: number): readonly number[] | undefined {
  if (value === undefined) return undefined;
  const valid = Array.isArray(value) && value.length === length;
  if (!valid || !value.every((item) => item === null || Number.isFinite(item))) {
    throw new Error(`sequence: must be a list of ${length} numbers`);
  }
  // JSON has no word for the infinity that suspects have: they do not lead.
  return value.map((item) => item ?? Number.POSITIVE_INFINITY);
}
