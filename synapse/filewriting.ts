import { coalesce } from '../common/coalesce.ts';
import type { Instance } from '../common/instance.ts';
import { type Log, reasonOf } from '../common/log.ts';
import { sleep } from '../common/supervise.ts';
import { writeFiles } from './fileoutput.ts';
import { fileFailures } from './metrics.ts';

/** What goes into files at this moment. */
export interface FilesNow {
  readonly folder: string;
  /** Services that have a file; undefined instances: nothing is known. */
  readonly services: ReadonlyMap<string, readonly Instance[] | undefined>;
}

/** Keeps the files for other readers right, beside HAProxy and without ever keeping it waiting. */
export interface FileWriting {
  /** These services may have changed; undefined stands for all, and for the list of services itself. */
  touch(names: Iterable<string> | undefined): void;
  /** Why the files may be out of date; null while they are right. */
  readonly trouble: string | null;
}

/** Stands for every service among the names of changed ones. */
const all = Symbol('all services');

/** `read` says what is to be in the files; undefined: there are none. A failure is logged once and tried again. */
export function createFileWriting(
  read: () => FilesNow | undefined,
  deps: { readonly log: Log },
  signal: AbortSignal,
): FileWriting {
  const { log } = deps;
  let trouble: string | null = null;
  const touch = coalesce<string | typeof all>(async (dirty) => {
    const now = read();
    if (now === undefined) {
      trouble = null;
      return;
    }
    const names = dirty.has(all) ? new Set(now.services.keys()) : (dirty as ReadonlySet<string>);
    try {
      await writeFiles(now.folder, now.services, names);
      if (trouble !== null) log.info('the files of file_output are written again');
      trouble = null;
    } catch (error) {
      fileFailures.inc();
      if (trouble === null) log.error('the files of file_output cannot be written', { reason: reasonOf(error) });
      trouble = reasonOf(error);
      void sleep(1_000, signal).then(() => touch(all));
    }
  }, signal);
  return {
    touch(names) {
      if (names === undefined) touch(all);
      else for (const name of names) touch(name);
    },
    get trouble() {
      return trouble;
    },
  };
}
