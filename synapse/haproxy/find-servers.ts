import type { OutputInstance } from '../output.ts';
import type { HaproxyProcess } from './runtime/process.ts';
import { backendOf, type DesiredService } from './spec/desired-service.ts';
import type { ParsedConfig } from './spec/parse-config.ts';
import { type Persistence, persistenceOf } from './spec/persistence.ts';

/** Under which names an instance may be a server: under one, or under all that this function takes. */
export type ServerNames = { readonly exact: string } | { readonly like: (name: string) => boolean };

/** One server of a service that may stand for an instance. */
export interface FoundServer {
  readonly name: string;
  /** What is wanted of it; undefined: it should not be there. */
  readonly wanted: 'ready' | 'drain' | undefined;
  /** The configuration itself names it: synapse does not touch it. */
  readonly fixed: boolean;
}

/** What a service has for an instance. */
export interface FoundServers {
  readonly backend: string;
  readonly servers: readonly FoundServer[];
  readonly persistence: Persistence;
}

/** Where servers are looked for. */
export interface FindServersIn {
  readonly services: ReadonlyMap<string, DesiredService>;
  readonly processes: readonly Pick<HaproxyProcess, 'running'>[];
  readonly present: ParsedConfig;
  readonly defaults: readonly string[];
}

/** The servers of a backend that are wanted, that run, or that the file has, under these names. */
export function findServers(
  { services, processes, present, defaults }: FindServersIn,
  backend: string,
  names: ServerNames,
): FoundServers {
  const desired = [...services.values()].find((each) => backendOf(each) === backend);
  const spec = desired?.active ?? desired?.wanted;
  const wanted = instancesById(desired?.instances ?? []);
  const fixed = spec?.fixed ?? nothing;
  const places: readonly { has(name: string): boolean; keys(): Iterable<string> }[] = [
    wanted,
    fixed,
    present.backends.get(backend) ?? nothing,
    ...processes.map(({ running }) => running.get(backend) ?? nothing),
  ];
  const found = new Set<string>();
  for (const place of places) for (const name of namesIn(place, names)) found.add(name);
  const lines = [...defaults, ...(spec?.lines ?? []), ...(spec?.frontend ?? []), ...persistentLines(present, backend)];
  return {
    backend,
    servers: [...found].sort().map((name) => ({ name, wanted: wantedOf(wanted.get(name)), fixed: fixed.has(name) })),
    persistence: persistenceOf(lines),
  };
}

const nothing: ReadonlySet<string> = new Set();

function namesIn(
  place: { has(name: string): boolean; keys(): Iterable<string> },
  names: ServerNames,
): readonly string[] {
  if ('exact' in names) return place.has(names.exact) ? [names.exact] : [];
  return [...place.keys()].filter(names.like);
}

function wantedOf(instance: OutputInstance | undefined): FoundServer['wanted'] {
  if (instance === undefined || instance.state === 'down') return undefined;
  return instance.state === 'drain' ? 'drain' : 'ready';
}

const indexes = new WeakMap<readonly OutputInstance[], ReadonlyMap<string, OutputInstance>>();

function instancesById(instances: readonly OutputInstance[]): ReadonlyMap<string, OutputInstance> {
  let index = indexes.get(instances);
  if (index === undefined) {
    // Of two with one id, the first is the server.
    const byId = new Map<string, OutputInstance>();
    for (const instance of instances) if (!byId.has(instance.id)) byId.set(instance.id, instance);
    index = byId;
    indexes.set(instances, index);
  }
  return index;
}

const persistent = new WeakMap<ParsedConfig, ReadonlyMap<string, readonly string[]>>();

/** The lines of a file that may keep clients at a server of a backend. A template may have others than the configuration. */
function persistentLines(file: ParsedConfig, backend: string): readonly string[] {
  let index = persistent.get(file);
  if (index === undefined) {
    index = indexPersistence(file.text);
    persistent.set(file, index);
  }
  return [...(index.get(everyBackend) ?? []), ...(index.get(backend) ?? [])];
}

/** Stands for all backends: no backend has an empty name. */
const everyBackend = '';

/** Backend → its lines that are about persistence; those of all defaults, and of frontends, are for every backend. */
function indexPersistence(text: string): ReadonlyMap<string, readonly string[]> {
  const index = new Map<string, string[]>();
  let backend: string | undefined;
  for (const line of text.split('\n')) {
    if (/^[^\s#]/.test(line)) {
      const [word = '', name] = line.trim().split(/\s+/);
      backend = word === 'backend' || word === 'listen' ? name : everyBackend;
    } else if (backend !== undefined && persistenceOf([line]).survives !== 'none') {
      const lines = index.get(backend);
      if (lines === undefined) index.set(backend, [line]);
      else lines.push(line);
    }
  }
  return index;
}
