import type { ParsedConfig, ParsedServer } from '../spec/parse-config.ts';
import { sameAddress } from '../spec/server.ts';
import type { RunningBackend, RunningServer } from '../spec/types.ts';
import { closedByUsWeight } from './draft.ts';
import type { ServerRow } from './parse.ts';

/** Backend → its servers by name. */
export type RunningServers = ReadonlyMap<string, RunningBackend>;

/**
 * How the worker that was read relates to the one that was known.
 * - `first`: synapse has just started. An earlier synapse may have sent this worker commands.
 * - `same`: the worker that was known.
 * - `new`: its successor, which has had no commands of ours.
 */
export type WorkerRelation = 'first' | 'same' | 'new';

/** What is known of the servers of one HAProxy process: what was read, and what commands have changed since. */
export class ServerState {
  readonly #file: () => ParsedConfig;
  readonly #found: () => ParsedConfig;
  readonly #running = new Map<string, Map<string, RunningServer>>();
  readonly #backendIds = new Map<string, number>();

  /**
   * `file`: the present haproxy.cfg. A worker that names the file's generation has loaded it. `found`: the file that synapse found
   * at its start. At the first reading, it tells what an earlier synapse did to a worker that has loaded it.
   */
  constructor(file: () => ParsedConfig, found: () => ParsedConfig = file) {
    this.#file = file;
    this.#found = found;
  }

  get running(): ReadonlyMap<string, Map<string, RunningServer>> {
    return this.#running;
  }

  /** Backend → HAProxy's number for it. */
  get backendIds(): ReadonlyMap<string, number> {
    return this.#backendIds;
  }

  /** Takes all rows of a worker that runs `generation`. Returns what was known before. */
  replace(rows: readonly ServerRow[], worker: WorkerRelation, generation: string | undefined): RunningServers {
    const before = new Map(this.#running);
    const isFound = worker === 'first' && isLoaded(this.#found(), generation);
    const file = isFound ? this.#found() : this.#file();
    const runsFile = isLoaded(file, generation);
    this.#running.clear();
    this.#backendIds.clear();
    this.#take(rows, before, { worker, runsFile, file: () => file });
    // A backend without servers has no row, yet it is there. It was known before, or the loaded file has a section for it.
    if (worker === 'same') this.#keepEmpty(before.keys());
    else if (runsFile) this.#keepEmpty(file.backends.keys());
    return before;
  }

  /** Takes all rows of these backends. They exist even if they have no rows, because they have no servers then. */
  update(rows: readonly ServerRow[], backends: Iterable<string>, generation: string | undefined): void {
    const before = new Map<string, RunningBackend>();
    for (const backend of backends) {
      before.set(backend, this.#running.get(backend) ?? nothing);
      this.#running.set(backend, new Map());
    }
    this.#take(rows, before, { worker: 'same', runsFile: isLoaded(this.#file(), generation), file: this.#file });
  }

  /** The number of servers in these backends, or in all. */
  count(backends: Iterable<string> = this.#running.keys()): number {
    let servers = 0;
    for (const backend of backends) servers += this.#running.get(backend)?.size ?? 0;
    return servers;
  }

  #take(
    rows: readonly ServerRow[],
    before: RunningServers,
    {
      worker,
      runsFile,
      file,
    }: { readonly worker: WorkerRelation; readonly runsFile: boolean; readonly file: () => ParsedConfig },
  ): void {
    for (const row of rows) {
      this.#backendIds.set(row.backend, row.backendId);
      let servers = this.#running.get(row.backend);
      if (servers === undefined) {
        servers = new Map();
        this.#running.set(row.backend, servers);
      }
      const previous = before.get(row.backend)?.get(row.name);
      // The file tells nothing new about a known server, and parsing it takes time in proportion to all servers.
      const isKnown = worker === 'same' && previous?.fixedWords !== undefined;
      if (isKnown && isUnchanged(row, previous)) {
        servers.set(row.name, previous);
        continue;
      }
      const line = isKnown ? undefined : file().backends.get(row.backend)?.get(row.name);
      servers.set(row.name, runningServerOf(row, { previous, file: line, loaded: !isKnown && runsFile, worker }));
    }
  }

  #keepEmpty(backends: Iterable<string>): void {
    for (const backend of backends) if (!this.#running.has(backend)) this.#running.set(backend, new Map());
  }
}

/** A worker of this generation has loaded this file. */
function isLoaded(file: ParsedConfig, generation: string | undefined): boolean {
  return file.generation !== undefined && file.generation === generation;
}

/** All that a reading says of a server and that is kept of it: what is missing here does not compile. */
const readFields = Object.keys({
  ...{ name: true, id: true, address: true, resolved: true, weight: true },
  ...{ maintenance: true, drained: true, failing: true, withheld: true, checked: true },
} satisfies Record<keyof ServerRow & keyof RunningServer, true>) as readonly (keyof ServerRow & keyof RunningServer)[];

/** True when {@link runningServerOf} would make the same of a server of the same worker: it is kept then. */
function isUnchanged(row: ServerRow, previous: RunningServer): boolean {
  const isOpened = previous.ours && !(row.maintenance || row.drained);
  return !isOpened && readFields.every((field) => row[field] === previous[field]);
}

const nothing: RunningBackend = new Map();

/** What is known about a server apart from what HAProxy says now. */
export interface ServerHistory {
  /** The server as it was last known. */
  readonly previous: RunningServer | undefined;
  /** Its line in the present file. */
  readonly file: ParsedServer | undefined;
  /** True when the worker is known to have loaded that file. */
  readonly loaded: boolean;
  readonly worker: WorkerRelation;
}

/**
 * Joins what HAProxy says about a server with its history. HAProxy tells the state but not who set it. Maintenance of a
 * server that is in the file was set by an operator. Maintenance of a server that is not in the file, or whose weight is
 * {@link closedByUsWeight} as well, was set by synapse, which removes servers that way. The same holds for a drain.
 */
export function runningServerOf(row: ServerRow, { previous, file, loaded, worker }: ServerHistory): RunningServer {
  const { name, id, address, resolved, maintenance, drained, failing, withheld, checked, weight } = row;
  const where = { address, ...(resolved !== undefined && { resolved }) };
  const base = { name, id, ...where, maintenance, drained, failing, withheld, checked, weight };
  const closed = maintenance || drained;
  const line = loaded && file !== undefined && sameAddress(file.address, address) ? file : undefined;
  const words = line?.fixedWords;
  if (worker === 'same' && previous !== undefined) {
    return {
      ...base,
      ourWeight: previous.ourWeight,
      ours: closed && previous.ours,
      // Where these two are not known yet, the file tells them as soon as the worker is known to have loaded it.
      fixedWords: previous.fixedWords ?? words,
      maxconn: previous.maxconn === undefined ? line?.maxconn : previous.maxconn,
      lacks: previous.lacks,
    };
  }
  const maxconn = line?.maxconn;
  // The previous synapse was killed after it had closed or drained the server and before it had written the file.
  const isMarked = closed && weight === closedByUsWeight && file?.weight !== closedByUsWeight;
  // What is disabled in our file was closed by us: a drained server in a backend with persistence.
  // The present file may be newer than the one that a new worker has loaded.
  const isClosed = maintenance && (file?.disabled === true || (worker === 'new' && row.disabled));
  if (worker === 'new') return { ...base, ourWeight: row.initialWeight, ours: isClosed, fixedWords: words, maxconn };
  return {
    ...base,
    // Nothing says who set the weight of a server that is not in the file, so it may be changed.
    ourWeight: file === undefined || isMarked ? Number.NaN : lastWeightOfOurs(row, file.weight),
    ours: closed && (file === undefined || isMarked || isClosed || (drained && !maintenance && file.weight === 0)),
    fixedWords: words,
    maxconn,
  };
}

/**
 * The last weight that a previous synapse has set. If the weight differs from the one the server started with, the
 * file says what that synapse wanted; the file may be newer than what the worker has loaded.
 */
function lastWeightOfOurs({ weight, initialWeight }: ServerRow, inFile: number | undefined): number {
  if (weight === initialWeight) return weight;
  const known = inFile ?? initialWeight;
  // The weight 0 is what a file has for a drain: it does not say which weight the server has otherwise.
  return known === 0 ? Number.NaN : known;
}

/** A server whose commands may or may not have been carried out: all that they set may be ours. */
export function uncertain(before: RunningServer | undefined, after: RunningServer): RunningServer {
  const unknown = { ours: true, ourWeight: Number.NaN, maxconn: Number.NaN, fixedWords: after.fixedWords };
  return { ...(before ?? after), ...unknown };
}
