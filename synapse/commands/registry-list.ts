import { clock } from '../../common/async/clock.ts';
import { type Fields, field } from '../../common/cli/json-shape.ts';
import { type Cell, formatTable, heading, type Style } from '../../common/cli/table.ts';
import { type Log, reasonOf } from '../../common/daemon/log.ts';
import { createEtcdClient } from '../../common/etcd/client/client.ts';
import { type Entry, hex } from '../../common/etcd/client/key-value.ts';
import type { EtcdOptions } from '../../common/etcd/client/options.ts';
import { printable } from '../../common/etcd/records/records.ts';
import type { KeyChange } from '../../common/etcd/watch/prefix-state.ts';
import { createReflector } from '../../common/etcd/watch/reflector.ts';
import { announcedAtOf, type Instance, parseInstance } from '../../common/instance.ts';
import type { SavedServices } from '../catalog/state-file.ts';
import { instanceShape } from '../report/instance-shape.ts';

/** One record of the registry. */
export interface ListedRecord {
  /** Null where it is from the state file. */
  readonly key: string | null;
  /** Null when it cannot be used, which `reason` says. */
  readonly instance: Instance | null;
  readonly reason: string | null;
  /** When its announcer says that it became like this, ISO 8601, by the announcer's clock; null when it does not say. */
  readonly announced_at: string | null;
  readonly created: string | null;
  readonly revision: string | null;
  /** In hexadecimal; null without one. */
  readonly lease: string | null;
}

/** What `synapse services` shows. */
export interface RegistryList {
  readonly prefix: string;
  readonly revision: string | null;
  /** Why etcd was not read; null when it was. */
  readonly reason: string | null;
  readonly services: Readonly<Record<string, readonly ListedRecord[]>>;
}

/** One change, for who watches. */
export interface ListedChange extends ListedRecord {
  readonly time: string;
  readonly service: string;
  readonly gone: boolean;
}

export interface ListOptions {
  /** Where the registry's services are, ending in a slash. */
  readonly prefix: string;
  /** Milliseconds that etcd may take for its first answer. */
  readonly timeout: number;
  readonly log: Log;
  /** Called once with all there is. */
  readonly onList: (list: RegistryList) => void;
  /** Called for each change from then on; without it, the first answer is the end. */
  readonly onChange?: (change: ListedChange) => void;
}

/**
 * Reads every record of the registry, and goes on with each change where that is wanted, until `signal` aborts.
 * @throws when etcd does not answer in time
 */
export async function followRegistry(etcd: EtcdOptions, options: ListOptions, signal?: AbortSignal): Promise<void> {
  const { prefix, timeout, log, onList, onChange } = options;
  const end = new AbortController();
  const scope = signal === undefined ? end.signal : AbortSignal.any([signal, end.signal]);
  const client = createEtcdClient(etcd, { log }, scope);
  const reflector = createReflector(client, { log }, scope);
  let answered = false;
  const timer = clock.setTimeout(() => end.abort(), timeout);
  await reflector.follow(
    prefix,
    ({ entries, changed, revision }) => {
      clock.clearTimeout(timer);
      if (!answered) onList({ prefix, revision, reason: null, services: byService(entries, prefix) });
      else for (const change of changed) onChange?.(changeOf(change, prefix));
      answered = true;
      if (onChange === undefined) end.abort();
    },
    scope,
  );
  clock.clearTimeout(timer);
  if (answered || signal?.aborted) return;
  const { reason } = client.status;
  throw new Error(`etcd did not answer within ${timeout} ms${reason === null ? '' : `: ${reason}`}`);
}

/** What a state file says instead, for when etcd cannot be read. */
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
  for (const key of [...entries.keys()].sort()) {
    const service = serviceOf(key, prefix);
    services[service] ??= [];
    services[service].push(recordOf(entries.get(key) as Entry));
  }
  return services;
}

function recordOf({ key, value, createRevision, modRevision, lease }: Entry): ListedRecord {
  const rest = {
    key: printable(key),
    announced_at: announcedAtOf(value),
    created: createRevision,
    revision: modRevision,
    lease: lease === '0' ? null : hex(lease),
  };
  try {
    return { ...rest, instance: parseInstance(value), reason: null };
  } catch (error) {
    return { ...rest, instance: null, reason: reasonOf(error) };
  }
}

function changeOf({ key, entry }: KeyChange, prefix: string): ListedChange {
  const record = entry === undefined ? { ...unknown, key: printable(key), instance: null } : recordOf(entry);
  return { time: clock.date().toISOString(), service: serviceOf(key, prefix), gone: entry === undefined, ...record };
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

/** `synapse services --json`; with `--watch` one of `services[].instances[]` a line, with `service` and `gone`. */
export const servicesShape: Fields = {
  fields: {
    prefix: field('text', 'where they are in etcd'),
    revision: field({ orNull: 'text' }, 'of etcd; null when all of it is from the state file'),
    reason: field({ orNull: 'text' }, 'why etcd was not read; null when it was'),
    services: field(
      {
        by: 'SERVICE',
        of: {
          list: {
            fields: {
              key: field({ orNull: 'text' }, 'its key in etcd; null from the state file'),
              instance: field({ orNull: instanceShape }, 'null when the record cannot be used'),
              reason: field({ orNull: 'text' }, 'why it cannot be used'),
              announced_at: field(
                { orNull: 'text' },
                "when it became like this by the announcer's clock, ISO 8601; null when it does not say",
              ),
              created: field({ orNull: 'text' }, 'revision at which it was first written'),
              revision: field({ orNull: 'text' }, 'revision at which it was last written'),
              lease: field({ orNull: 'text' }, 'the lease that keeps it, in hexadecimal; null without one'),
            },
          },
        },
      },
      'all records, by the service that their keys name',
    ),
  },
};
