import { clock } from '../../common/async/clock.ts';
import { type Fields, field, type Shaped } from '../../common/cli/json-shape.ts';
import { type Cell, formatTable, heading, type Style } from '../../common/cli/table.ts';
import { compareText } from '../../common/compare.ts';
import { type Log, reasonOf } from '../../common/daemon/log.ts';
import { createEtcdClient } from '../../common/etcd/client/client.ts';
import { type Entry, hex } from '../../common/etcd/client/key-value.ts';
import type { EtcdOptions } from '../../common/etcd/client/options.ts';
import { readEntry, usualRules } from '../../common/etcd/records/record-rules.ts';
import { printable } from '../../common/etcd/records/records.ts';
import type { KeyChange } from '../../common/etcd/watch/prefix-state.ts';
import { createReflector } from '../../common/etcd/watch/reflector.ts';
import { announcedAtOf } from '../../common/instance.ts';
import type { SavedServices } from '../catalog/state-file.ts';
import { instanceShape } from '../report/instance-shape.ts';

const recordShape = {
  fields: {
    key: field({ orNull: 'text' }, 'its key in etcd; null from the state file'),
    instance: field({ orNull: instanceShape }, 'the instance; null when the record cannot be used'),
    reason: field({ orNull: 'text' }, 'why the record cannot be used; null when it can'),
    announced_at: field(
      { orNull: 'text' },
      "when it became like this by the announcer's clock, ISO 8601; null when the record does not say",
    ),
    created: field({ orNull: 'text' }, 'revision at which it was first written'),
    revision: field({ orNull: 'text' }, 'revision at which it was last written'),
    lease: field({ orNull: 'text' }, 'lease of the record, in hexadecimal; null without one'),
  },
} satisfies Fields;

/** One record of the registry. */
export type ListedRecord = Shaped<typeof recordShape>;

/** `synapse services --json`; with `--watch` one of `services[].instances[]` a line, with `time`, `service` and `gone`. */
export const servicesShape = {
  fields: {
    prefix: field('text', 'path of the services in etcd'),
    revision: field({ orNull: 'text' }, 'revision of etcd; null when all records are from the state file'),
    reason: field({ orNull: 'text' }, 'why etcd did not answer; null when it did'),
    services: field({ by: 'SERVICE', of: { list: recordShape } }, 'all records, by the service in their keys'),
  },
} satisfies Fields;

/** What `synapse services` shows. */
export type RegistryList = Shaped<typeof servicesShape>;

/** One change in the registry. */
export interface ListedChange extends ListedRecord {
  /** When synapse's command saw it, ISO 8601. */
  readonly time: string;
  readonly service: string;
  readonly gone: boolean;
}

/** How the registry is read, and what happens to its records. */
export interface ListOptions {
  /** Path of the services in etcd, ending in a slash. */
  readonly prefix: string;
  /** Deadline of etcd's first answer, milliseconds. */
  readonly timeoutMs: number;
  readonly log: Log;
  /** Called once with all records. */
  readonly onList: (list: RegistryList) => void;
  /** Called for each change from then on; without it, reading ends with the first answer. */
  readonly onChange?: (change: ListedChange) => void;
}

/**
 * Reads every record of the registry; with `onChange`, follows the changes until `signal` aborts.
 * @throws when etcd does not answer in time
 */
export async function followRegistry(etcd: EtcdOptions, options: ListOptions, signal?: AbortSignal): Promise<void> {
  const { prefix, timeoutMs, log, onList, onChange } = options;
  const end = new AbortController();
  const scope = signal === undefined ? end.signal : AbortSignal.any([signal, end.signal]);
  const client = createEtcdClient(etcd, { log }, scope);
  const reflector = createReflector(client, { log }, scope);
  let answered = false;
  const timer = clock.setTimeout(() => end.abort(), timeoutMs);
  await reflector.follow(
    prefix,
    ({ entries, changed, revision }) => {
      clock.clearTimeout(timer);
      if (!answered) onList({ prefix, revision, reason: null, services: byService(entries, prefix) });
      else for (const change of changed) if (!isLateEnd(change)) onChange?.(changeOf(change, prefix));
      answered = true;
      if (onChange === undefined) end.abort();
    },
    scope,
  );
  clock.clearTimeout(timer);
  if (answered || signal?.aborted) return;
  const { reason } = client.status;
  throw new Error(`etcd did not answer within ${timeoutMs} ms${reason === null ? '' : `: ${reason}`}`);
}

/** The list from the state file, for when etcd does not answer. */
export function listOfCache(prefix: string, reason: string, cached: SavedServices): RegistryList {
  const services = [...cached].map(([service, { set }]) => {
    const records = set.instances.map((instance): ListedRecord => ({ ...unknown, instance }));
    return [service, records] as const;
  });
  return { prefix, revision: null, reason, services: Object.fromEntries(services) };
}

const unknown = { key: null, reason: null, announced_at: null, created: null, revision: null, lease: null } as const;

function byService(entries: ReadonlyMap<string, Entry>, prefix: string): RegistryList['services'] {
  // Null prototype: a service may have any name.
  const services: Record<string, ListedRecord[]> = Object.create(null);
  for (const [key, entry] of [...entries].sort(([a], [b]) => compareText(a, b))) {
    const record = recordOf(entry);
    if (isWithdrawn(record)) continue;
    const service = serviceOf(key, prefix);
    services[service] ??= [];
    services[service].push(record);
  }
  return services;
}

function recordOf(entry: Entry): ListedRecord {
  const { key, value, createRevision, modRevision, lease } = entry;
  const rest = {
    key: printable(key),
    announced_at: announcedAtOf(value),
    created: createRevision,
    revision: modRevision,
    lease: lease === '0' ? null : hex(lease),
  };
  try {
    return { ...rest, instance: readEntry(entry, usualRules), reason: null };
  } catch (error) {
    return { ...rest, instance: null, reason: reasonOf(error) };
  }
}

/** A withdrawn instance is gone, although its record stays for up to a minute. */
function isWithdrawn({ instance }: ListedRecord): boolean {
  return instance?.state === 'down';
}

/** The end of a record that has said for some time that its instance is gone. */
function isLateEnd({ entry, previous }: KeyChange): boolean {
  return entry === undefined && previous !== undefined && isWithdrawn(recordOf(previous));
}

function changeOf({ key, entry }: KeyChange, prefix: string): ListedChange {
  const record = entry === undefined ? { ...unknown, key: printable(key), instance: null } : recordOf(entry);
  const gone = entry === undefined || isWithdrawn(record);
  return { time: clock.date().toISOString(), service: serviceOf(key, prefix), gone, ...record };
}

function serviceOf(key: string, prefix: string): string {
  const rest = key.slice(prefix.length);
  return printable(rest.slice(0, Math.max(rest.lastIndexOf('/'), 0)));
}

/** The list as a table. */
export function formatList({ services, reason, prefix }: RegistryList, style: Style): string {
  const rows = Object.entries(services).flatMap(([service, records]) => records.map((one) => rowOf(service, one)));
  const note = reason === null ? '' : `${style('bad', reason)}\nFrom the state file, which may be out of date:\n\n`;
  const titles = ['SERVICE', 'INSTANCE', 'STATE', 'WEIGHT', 'REVISION', 'LABELS'];
  return `${note}${rows.length === 0 ? `nothing is announced below ${prefix}\n` : formatTable([heading(titles), ...rows], style)}`;
}

/** One change as a line. */
export function formatChange(change: ListedChange, style: Style): string {
  const [service = '', id = '', ...rest] = rowOf(change.service, change);
  const state: readonly Cell[] = change.gone ? [{ text: 'gone', tone: 'warn' }] : rest;
  const cells = [change.time, service, id, ...state].filter((cell) => cell !== '');
  return formatTable([cells], style);
}

function rowOf(service: string, { key, instance, reason, revision }: ListedRecord): readonly Cell[] {
  const name = (key ?? '').slice((key ?? '').lastIndexOf('/') + 1);
  if (instance === null) return [service, name, { text: `cannot be used: ${reason}`, tone: 'bad' }, '', revision ?? ''];
  const { id, state, backup, weight, labels = {} } = instance;
  return [
    service,
    id,
    { text: backup ? `${state}, backup` : state, tone: state === 'up' ? 'good' : 'warn' },
    weight === undefined ? '' : String(weight),
    revision ?? '',
    Object.entries(labels)
      .map(([label, value]) => `${label}=${value}`)
      .join(' '),
  ];
}
