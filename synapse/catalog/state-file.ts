import { linkAbort } from '../../common/async/abort.ts';
import { clock } from '../../common/async/clock.ts';
import { sleep } from '../../common/async/sleep.ts';
import { isObject } from '../../common/config/formats.ts';
import { type Log, reasonOf } from '../../common/daemon/log.ts';
import { readIfThere, removeUnfinished, writeFileAtomic } from '../../common/file.ts';
import type { Files } from '../../common/host.ts';
import { formatInstance, readRecord } from '../../common/instance.ts';
import type { Published } from '../../common/published.ts';
import { requireTrusted } from '../../common/trust.ts';
import type { InstanceSet } from '../source.ts';
import { pseudoLease } from './announced.ts';
import type { LostById, LostInstance } from './lost-instance.ts';

/** Where the last good catalog is kept. */
export interface StateFile {
  readonly path: string;
  /** Milliseconds after which the file's entry for a service is too old to be used. */
  readonly ttlMs: number;
}

/** What is in force for one service. */
interface ServiceContent {
  readonly set: InstanceSet;
  /** The published configuration that is in force. */
  readonly published?: Published | undefined;
  /** Those instances of the set that are kept although their leases are gone. */
  readonly kept?: LostById | undefined;
}

/** What is to be saved of one service. */
export interface ServiceToSave extends ServiceContent {
  /** The set is known to be right at this moment. */
  readonly current: boolean;
}

/** One service as the file has it. */
export interface SavedService extends ServiceContent {
  /** When the set was last known to be right, in milliseconds of `clock.wallTime()`. */
  readonly at: number;
}

/** The services in the file, by name. */
export type SavedServices = ReadonlyMap<string, SavedService>;

/** What the file says, or why it says nothing. */
export interface StateFileContent {
  /** Without the services that are older than the ttl. */
  readonly services: SavedServices;
  /** There is no file. */
  readonly missing?: true;
  readonly unreadable?: string;
  readonly damaged?: string;
}

/** The version of the file's format. */
const version = 1;

/**
 * Reads the file when the daemon starts. A damaged file, or one of another program, is moved to `<path>.damaged` and
 * reported; a missing one is empty. Never rejects: synapse can start without it.
 */
export async function readStateFile(
  file: StateFile,
  { log, files }: { readonly log: Log; readonly files: Files },
): Promise<SavedServices> {
  const { path } = file;
  await removeUnfinished(path, files);
  const { services, unreadable, damaged } = await inspectStateFile(file, files);
  if (unreadable) log.error('the state file cannot be read', { path, reason: unreadable });
  if (damaged) {
    log.error('the state file is damaged and not used', { path, reason: damaged });
    await files.rename(path, `${path}.damaged`).catch((error) => {
      log.error('the damaged state file cannot be moved away', { path, reason: reasonOf(error) });
    });
  }
  return services;
}

/** Reads the file and changes nothing. Never rejects. */
export async function inspectStateFile({ path, ttlMs }: StateFile, files: Files): Promise<StateFileContent> {
  const services = new Map<string, SavedService>();
  let text: string | undefined;
  try {
    await requireTrusted(path, 'remove it, or set state_file_path', files);
    text = await readIfThere(path, files);
  } catch (error) {
    return { services, unreadable: reasonOf(error) };
  }
  if (text === undefined) return { services, missing: true };
  try {
    const now = clock.wallTime();
    // Both ways: a time in the future is as wrong as one too long ago.
    return { services: new Map([...parseStateFile(text)].filter(([, { at }]) => Math.abs(now - at) <= ttlMs)) };
  } catch (error) {
    return { services, damaged: reasonOf(error) };
  }
}

/** What the writer uses of its surroundings. */
export interface StateFileDeps {
  readonly log: Log;
  readonly files: Files;
  /** What is to be in the file at this moment. */
  read(): Iterable<readonly [string, ServiceToSave]>;
  /** What was in the file at the start. */
  readonly restored?: SavedServices;
  /** Milliseconds from a change to its write; changes in between share that write. Default 5 s. */
  readonly intervalMs?: number;
}

/** Keeps the last good catalog on disk, so that synapse can start and serve while the registry is away. */
export class StateFileWriter {
  readonly #path: string;
  /** Milliseconds until unchanged services are written again: well before the file would count as too old. */
  readonly #refreshMs: number;
  readonly #intervalMs: number;
  readonly #deps: StateFileDeps;
  #written: SavedServices;
  #dirty = false;
  #reason: string | null = null;
  /** Ends the wait for the next change. */
  #wake: () => void = () => {};

  constructor({ path, ttlMs }: StateFile, deps: StateFileDeps) {
    this.#path = path;
    this.#refreshMs = Math.min(ttlMs / 4, 3_600_000);
    this.#intervalMs = deps.intervalMs ?? 5_000;
    this.#deps = deps;
    this.#written = deps.restored ?? new Map();
  }

  /** The file, and why it could not be written last; null when it could. */
  get status(): { readonly path: string; readonly reason: string | null } {
    return { path: this.#path, reason: this.#reason };
  }

  /** Something changed; it will be on disk within the interval. */
  touch(): void {
    this.#dirty = true;
    this.#wake();
  }

  /** Writes what changes until `signal` aborts, and once more then if anything is left. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (!this.#dirty) await this.#nextTouch(signal);
      if (signal.aborted) break;
      await sleep(this.#intervalMs, signal);
      await this.#write();
    }
    if (this.#dirty) await this.#write();
  }

  /** Resolves at the next touch, when it is time to write again, or at abort. */
  async #nextTouch(signal: AbortSignal): Promise<void> {
    const touched = linkAbort(signal);
    this.#wake = touched.abort;
    await sleep(this.#refreshMs, touched.signal);
    touched.release();
  }

  async #write(): Promise<void> {
    const { log, files } = this.#deps;
    const path = this.#path;
    this.#dirty = false;
    const next = this.#nextContent();
    try {
      await writeFileAtomic(path, formatStateFile(next), { files });
      this.#written = next;
      if (this.#reason !== null) log.info('the state file is written again', { path });
      this.#reason = null;
    } catch (error) {
      this.#dirty = true;
      const reason = reasonOf(error);
      if (this.#reason === null) log.error('the state file cannot be written', { path, reason });
      this.#reason = reason;
    }
  }

  /** An unchanged set that is not known to be right at this moment keeps its time. */
  #nextContent(): SavedServices {
    const now = clock.wallTime();
    const next = new Map<string, SavedService>();
    for (const [name, { set, current, published, kept }] of this.#deps.read()) {
      const last = this.#written.get(name);
      next.set(name, { set, at: current || last?.set !== set ? now : last.at, published, kept });
    }
    return next;
  }
}

/** The text of each set's instances, formatted once. */
const texts = new WeakMap<InstanceSet, string>();

function formatStateFile(services: SavedServices): string {
  const lines = [...services].map(([name, { set, at, published, kept }]) => {
    let text = texts.get(set);
    if (text === undefined) {
      const instances = `"instances":[${set.instances.map((one) => formatInstance(one)).join(',')}]`;
      text = set.sequence === undefined ? instances : `${instances},"sequence":${JSON.stringify(set.sequence)}`;
      texts.set(set, text);
    }
    const more = [
      ...(published === undefined ? [] : [`,"published":${JSON.stringify(published)}`]),
      ...(kept === undefined || kept.size === 0 ? [] : [`,"suspects":[${formatKept(kept)}]`]),
    ];
    return `${JSON.stringify(name)}:{"at":${at},${text}${more.join('')}}`;
  });
  return `{"version":${version},"services":{\n${lines.join(',\n')}\n}}\n`;
}

/** As `suspects`; one that is only held says so. An older synapse takes every one for a suspect. */
function formatKept(kept: LostById): string {
  const offset = clock.wallTime() - clock.now();
  return [...kept.values()]
    .map(({ instance, at, lease, key, sequence, phase }) => {
      const held = phase === 'suspect' ? '' : '"held":true,';
      const time = Math.round(at + offset);
      const order = sequence === undefined ? '' : `,"sequence":${sequence}`;
      const where = `"lease":${JSON.stringify(lease)},"key":${JSON.stringify(key)}${order}`;
      return `{"at":${time},${where},${held}"instance":${formatInstance(instance)}}`;
    })
    .join(',');
}

/** @throws when anything in it is not as written: half a catalog is worse than none */
function parseStateFile(text: string): Map<string, SavedService> {
  const file = JSON.parse(text) as { version?: unknown; services?: unknown } | null;
  if (file?.version !== version) throw new Error(`version ${JSON.stringify(file?.version)}: must be ${version}`);
  if (!isObject(file.services)) throw new Error('services: must be an object');
  const services = new Map<string, SavedService>();
  for (const [name, entry] of Object.entries(file.services)) {
    if (!isObject(entry) || typeof entry.at !== 'number' || !Array.isArray(entry.instances)) {
      throw new Error(`services.${name}: must have at and instances`);
    }
    const instances = entry.instances.map(readRecord);
    const sequence = readSequence(entry.sequence, instances.length);
    const set = { instances, rejected: [], seenAt: clock.now(), ...(sequence && { sequence }) };
    const published = readPublished(entry.published);
    const kept = readKept(entry.suspects);
    services.set(name, { set, at: entry.at, ...(published && { published }), ...(kept && { kept }) });
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

function readKept(value: unknown): LostById | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw new Error('suspects: must be a list');
  const offset = clock.wallTime() - clock.now();
  return new Map(
    value.map((entry: unknown): [string, LostInstance] => {
      if (!isObject(entry) || typeof entry.at !== 'number') throw new Error('suspects: must have at and instance');
      const instance = readRecord(entry.instance);
      // A wall clock that was set back must not hold a suspect for longer than the guard's time.
      const at = Math.min(entry.at - offset, clock.now());
      const lease = typeof entry.lease === 'string' ? entry.lease : pseudoLease(instance);
      // An older synapse has saved none.
      const key = typeof entry.key === 'string' ? entry.key : null;
      const sequence = typeof entry.sequence === 'number' ? entry.sequence : undefined;
      const phase = entry.held === true ? 'held' : 'suspect';
      // A look is due as soon as the source has answered.
      const rest = { look: null, lookedAt: null, failures: 0, lookAt: at, backAt: null };
      return [instance.id, { instance, lease, key, sequence, at, phase, ...rest }];
    }),
  );
}

function readSequence(value: unknown, length: number): readonly number[] | undefined {
  if (value === undefined) return undefined;
  const valid = Array.isArray(value) && value.length === length;
  if (!valid || !value.every((item) => item === null || Number.isFinite(item))) {
    throw new Error(`sequence: must be a list of ${length} numbers`);
  }
  // Suspects have an infinite number, which JSON writes as null: they are not elected leader.
  return value.map((item) => item ?? Number.POSITIVE_INFINITY);
}
