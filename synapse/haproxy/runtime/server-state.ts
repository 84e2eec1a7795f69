import type { ParsedConfig, ParsedServer } from '../spec/parse-config.ts';
import { sameAddress } from '../spec/server.ts';
import type { RunningBackend, RunningServer } from '../spec/types.ts';
import type { ServerRow } from './parse.ts';

/** Backend → its servers as they are known, by name. */
export type RunningServers = ReadonlyMap<string, RunningBackend>;

/** What is known of one HAProxy process: what was read, and what was changed since. */
export interface Picture {
  readonly running: Map<string, Map<string, RunningServer>>;
  /** HAProxy's numbers of backends. */
  readonly backendIds: ReadonlyMap<string, number>;
  /** Begins anew with all that a worker has, which runs `generation`. Returns what was known before. */
  replace(rows: readonly ServerRow[], worker: Knowledge['worker'], generation: string | undefined): RunningServers;
  /** Puts rows in the place of what was known of these backends. */
  update(rows: readonly ServerRow[], backends: Iterable<string>, generation: string | undefined): void;
  /** How many servers there are, in these backends or in all. */
  count(backends?: Iterable<string>): number;
}

/** `file` is what a worker has loaded that names the same generation. */
export function createPicture(file: () => ParsedConfig): Picture {
  const running = new Map<string, Map<string, RunningServer>>();
  const backendIds = new Map<string, number>();

  const take = (
    rows: readonly ServerRow[],
    before: RunningServers,
    { worker, runsFile }: { readonly worker: Knowledge['worker']; readonly runsFile: boolean },
  ): void => {
    for (const row of rows) {
      backendIds.set(row.backend, row.backendId);
      let servers = running.get(row.backend);
      if (servers === undefined) {
        servers = new Map();
        running.set(row.backend, servers);
      }
      const previous = before.get(row.backend)?.get(row.name);
      // Of a server that is known, the file says nothing new, and to read it costs what all servers together cost.
      const isKnown = worker === 'same' && previous?.fixedWords !== undefined;
      const line = isKnown ? undefined : file().backends.get(row.backend)?.get(row.name);
      servers.set(row.name, know(row, { previous, file: line, loaded: !isKnown && runsFile, worker }));
    }
  };
  const isInFile = (generation: string | undefined): boolean => {
    const known = file().generation;
    return known !== undefined && known === generation;
  };

  return {
    running,
    backendIds,
    replace(rows, worker, generation) {
      const before = new Map(running);
      const runsFile = isInFile(generation);
      running.clear();
      backendIds.clear();
      take(rows, before, { worker, runsFile });
      // A backend without servers has no row, yet it is there when the worker runs our configuration.
      if (worker !== 'same' && runsFile) {
        for (const backend of file().backends.keys()) if (!running.has(backend)) running.set(backend, new Map());
      }
      return before;
    },
    update(rows, backends, generation) {
      const before = new Map(running);
      // An empty backend has no rows; it is still there.
      for (const backend of backends) running.set(backend, new Map());
      take(rows, before, { worker: 'same', runsFile: isInFile(generation) });
    },
    count(backends = running.keys()) {
      let servers = 0;
      for (const backend of backends) servers += running.get(backend)?.size ?? 0;
      return servers;
    },
  };
}

/** What is known about a server from before it was read. */
export interface Knowledge {
  /** How we last knew it, in the same worker. */
  readonly previous: RunningServer | undefined;
  /** Its line in the file; `loaded` when the worker is known to have loaded a file of that generation. */
  readonly file: ParsedServer | undefined;
  readonly loaded: boolean;
  /** `adopted`: synapse has just started and the worker may have had commands from the one before. */
  readonly worker: 'same' | 'new' | 'adopted';
}

/**
 * Joins what HAProxy says about a server with what we know about how it came to be so. HAProxy tells the state but not
 * who set it: maintenance of a server that the file has is somebody's decision; of one that the file has not, it is
 * ours, because that is how we remove servers.
 */
export function know(row: ServerRow, { previous, file, loaded, worker }: Knowledge): RunningServer {
  const { name, id, address, maintenance, drained, failing, weight } = row;
  const base = { name, id, address, maintenance, drained, failing, weight };
  const closed = maintenance || drained;
  const line = loaded && file !== undefined && sameAddress(file.address, address) ? file : undefined;
  const words = line?.fixedWords;
  if (worker === 'same' && previous !== undefined) {
    return {
      ...base,
      ourWeight: previous.ourWeight,
      ours: closed && previous.ours,
      // Both from the file, as soon as it is known to be what the worker has loaded.
      fixedWords: previous.fixedWords ?? words,
      maxconn: previous.maxconn === undefined ? line?.maxconn : previous.maxconn,
      lacks: previous.lacks,
    };
  }
  const maxconn = line?.maxconn;
  if (worker === 'new') return { ...base, ourWeight: row.initialWeight, ours: false, fixedWords: words, maxconn };
  return {
    ...base,
    // Not in the file: nobody knows, so ours may replace it.
    ourWeight: file === undefined ? Number.NaN : adoptedWeight(row, file.weight),
    ours: closed && (file === undefined || (drained && !maintenance && file.weight === 0)),
    fixedWords: words,
    maxconn,
  };
}

/**
 * A weight that is not the one it started with was set by the synapse before, whose file says the same, or by somebody
 * else. The file may be newer than what the worker has loaded.
 */
function adoptedWeight({ weight, initialWeight }: ServerRow, inFile: number | undefined): number {
  return weight === initialWeight ? weight : (inFile ?? initialWeight);
}

/** A server whose commands may or may not have been carried out: what it is set to counts as our doing. */
export function uncertain(before: RunningServer | undefined, after: RunningServer): RunningServer {
  const known = { ours: true, ourWeight: Number.NaN, maxconn: Number.NaN, fixedWords: after.fixedWords };
  return { ...(before ?? after), ...known };
}
