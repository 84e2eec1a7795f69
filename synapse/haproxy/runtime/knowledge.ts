import type { ExistingServer } from '../file/existing.ts';
import { sameAddress } from '../model/address.ts';
import type { RunningServer } from '../model/model.ts';
import type { ServerRow } from './running.ts';

/** What is known about a server from before it was read. */
export interface Knowledge {
  /** How we last knew it, in the same worker. */
  readonly previous: RunningServer | undefined;
  /** Its line in the file; `loaded` when the worker is known to have loaded a file of that generation. */
  readonly file: ExistingServer | undefined;
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
