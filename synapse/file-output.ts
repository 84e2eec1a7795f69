import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { coalesce } from '../common/async/coalesce.ts';
import { sleep } from '../common/async/sleep.ts';
import type { Schema } from '../common/config/config.ts';
import { type Log, reasonOf } from '../common/daemon/log.ts';
import { writeFileAtomic } from '../common/file.ts';
import type { Instance } from '../common/instance.ts';
import { fileFailures } from './metrics.ts';

/** The top-level section `file_output`. */
export interface FileOutputConfig {
  readonly output_directory: string;
}

/** `services.NAME.file_output`. */
export interface ServiceFileOutput {
  readonly disabled: boolean;
}

export const fileOutputSchema: Schema<FileOutputConfig> = {
  output_directory: {
    doc: 'Folder for one JSON file per service, for clients that read discovery data themselves.',
    format: 'non-empty-string',
    default: null,
  },
};

export const serviceFileOutputSchema: Schema<ServiceFileOutput> = {
  disabled: { doc: 'Write no file for this service.', format: 'boolean', default: false },
};

/** What a client reads of one instance: SmartStack's keys in its order, those that are set, and our `backup`. */
export function backendRecord({ name, host, port, weight, serverOptions, labels, backup }: Instance): object {
  return {
    ...(name !== '' && { name }),
    host,
    port,
    ...(weight !== undefined && { weight }),
    ...(serverOptions !== undefined && { haproxy_server_options: serverOptions }),
    ...(labels !== undefined && { labels }),
    ...(backup && { backup }),
  };
}

/** The file of a service. An instance that drains is not in it: who reads the file would open new connections to it. */
export function fileText(instances: readonly Instance[]): string {
  return JSON.stringify(instances.filter(({ state }) => state === 'up').map(backendRecord));
}

/**
 * Writes `<service>.json` for each service that has one and removes every other JSON file of the folder, as SmartStack
 * does. A service of which nothing is known keeps the file it has. A file that says the same already is left alone.
 * @throws naming the folder or the file when it cannot be written; what was written stays
 */
export async function writeFiles(
  folder: string,
  services: ReadonlyMap<string, readonly Instance[] | undefined>,
  dirty: ReadonlySet<string>,
): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw new Error(`provided output directory ${folder} is not present or creatable`, { cause: error });
  }
  for (const [name, instances] of services) {
    if (instances === undefined || !dirty.has(name)) continue;
    const path = join(folder, fileName(name));
    const text = fileText(instances);
    if ((await readFile(path, 'utf8').catch(() => undefined)) !== text) await writeFileAtomic(path, text);
  }
  const wanted = new Set([...services.keys()].map(fileName));
  for (const file of await readdir(folder)) {
    if (file.endsWith('.json') && !wanted.has(file)) await rm(join(folder, file), { force: true });
  }
}

/** The names of services have no slash; one that begins with a dot would be hidden, and `..` is none. */
function fileName(service: string): string {
  return `${service}.json`;
}

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
