import type { ExistingFile } from '../file/existing.ts';
import type { RunningBackend, RunningServer } from '../model/model.ts';
import { type Knowledge, know } from './knowledge.ts';
import type { ServerRow } from './running.ts';

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
export function createPicture(file: () => ExistingFile): Picture {
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
