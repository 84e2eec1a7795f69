import { readFile } from 'node:fs/promises';
import { clock } from '../../common/async/clock.ts';
import { isObject } from '../../common/config/formats.ts';
import { type Log, reasonOf } from '../../common/daemon/log.ts';
import { removeUnfinished, writeFileAtomic } from '../../common/file.ts';

/**
 * Which services an operator drains: in a file, because an orderly restart takes the records out of etcd, and because
 * it must be known before etcd answers. Without a file (none yet, lost, or damaged) the records in etcd are believed
 * instead, which a nerve that was killed left there: see {@link Drains.remembered}.
 */
export interface Drains {
  /** The file says all there is to know: a record of a predecessor that says otherwise is out of date. */
  readonly remembered: boolean;
  /** Since when, ISO 8601; undefined when it is not drained. */
  since(service: string): string | undefined;
  set(service: string, drained: boolean): void;
  /** Resolves when the file has it: to null, or to why it could not be written. */
  saved(): Promise<string | null>;
}

/** Without a path nothing outlives the process. Never rejects: a broken file must not keep services from being announced. */
export async function openDrains(path: string | null, log: Log): Promise<Drains> {
  if (path !== null) await removeUnfinished(path);
  const found = path === null ? undefined : await read(path, log);
  const drained = new Map(found);
  let problem: string | null = path === null ? 'there is no state file' : null;
  let writing = Promise.resolve();
  const write = async (): Promise<void> => {
    if (path === null) return;
    try {
      await writeFileAtomic(path, `${JSON.stringify({ drained: Object.fromEntries(drained) })}\n`, { mode: 0o600 });
      problem = null;
    } catch (error) {
      problem = reasonOf(error);
      log.error('which services are drained could not be saved', { path, reason: problem });
    }
  };
  return {
    remembered: found !== undefined,
    since: (service) => drained.get(service),
    set(service, drain) {
      if (drain === drained.has(service)) return;
      if (drain) drained.set(service, clock.date().toISOString());
      else drained.delete(service);
      writing = writing.then(write);
    },
    async saved() {
      await writing;
      return problem;
    },
  };
}

/** Undefined when the file says nothing. */
async function read(path: string, log: Log): Promise<ReadonlyMap<string, string> | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    const drained = isObject(value) ? value.drained : undefined;
    if (!isObject(drained)) throw new Error('it has no list of drained services');
    return new Map(Object.entries(drained).map(([service, since]) => [service, String(since)]));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    log.error('which services are drained cannot be read, asking etcd', { path, reason: reasonOf(error) });
    return undefined;
  }
}
