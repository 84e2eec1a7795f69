import { join } from 'node:path';
import { aborted } from '../common/async/abort.ts';
import { coalesce, type MarkDirty } from '../common/async/coalesce.ts';
import { sleep } from '../common/async/sleep.ts';
import type { Schema } from '../common/config/config.ts';
import { type Log, reasonOf } from '../common/daemon/log.ts';
import { readIfThere, writeFileAtomic } from '../common/file.ts';
import type { Files } from '../common/host.ts';
import { fileFailures } from './metrics.ts';
import type { AppliedService, Output, OutputInstance, Snapshot } from './output.ts';

/** The top-level section `file_output`. */
export interface FileOutputConfig {
  readonly output_directory: string;
}

/** `services.NAME.file_output`. */
export interface ServiceFileOutput {
  readonly disabled: boolean;
}

/** Options of the top-level section. */
export const fileOutputSchema: Schema<FileOutputConfig> = {
  output_directory: {
    doc: 'Folder for one JSON file per service, for clients that read discovery data themselves.',
    format: 'non-empty-string',
    names: 'folder to write',
    default: null,
  },
};

/** Options of a service's section. */
export const serviceFileOutputSchema: Schema<ServiceFileOutput> = {
  disabled: { doc: 'Write no file for this service.', format: 'boolean', default: false },
};

/** What a client reads of one instance: SmartStack's keys in its order, and our `backup`; keys without a value are left out. */
export function backendRecord(instance: OutputInstance): object {
  const { name, host, hostName, port, weight, serverOptions, labels, backup } = instance;
  return {
    ...(name !== '' && { name }),
    // A client resolves names by itself, as it always has.
    host: hostName ?? host,
    port,
    ...(weight !== undefined && { weight }),
    ...(serverOptions !== undefined && { haproxy_server_options: serverOptions }),
    ...(labels !== undefined && { labels }),
    ...(backup && { backup }),
  };
}

/** The file of a service. It leaves out instances that drain: clients would open new connections to them. */
export function fileText(instances: readonly OutputInstance[]): string {
  return JSON.stringify(instances.filter(({ state }) => state === 'up').map(backendRecord));
}

/** The folder and its files, as they are to be. */
export interface WantedFiles {
  readonly folder: string;
  /** The services that have a file; undefined while nothing is known about a service, which keeps the file it has. */
  readonly services: ReadonlyMap<string, readonly OutputInstance[] | undefined>;
}

/**
 * Writes `<service>.json` for the changed services and removes every other JSON file of the folder, as SmartStack does.
 * A file that has the right text already is left alone.
 * @throws naming the folder or the file when it cannot be written; the files written before that stay
 */
export async function writeFiles(
  { folder, services }: WantedFiles,
  changed: Iterable<string>,
  files: Files,
): Promise<void> {
  try {
    await files.makeFolder(folder, { recursive: true });
  } catch (error) {
    throw new Error(`provided output directory ${folder} is not present or creatable`, { cause: error });
  }
  for (const name of changed) {
    const instances = services.get(name);
    if (instances !== undefined) await writeIfDifferent(join(folder, fileName(name)), fileText(instances), files);
  }
  const wanted = new Set([...services.keys()].map(fileName));
  for (const file of await files.list(folder)) {
    if (file.endsWith('.json') && !wanted.has(file)) await files.remove(join(folder, file));
  }
}

async function writeIfDifferent(path: string, text: string, files: Files): Promise<void> {
  const present = await readIfThere(path, files).catch(() => undefined);
  if (present !== text) await writeFileAtomic(path, text, { files });
}

/** The name of a service has no slash in it, so that its file stays in the folder. */
function fileName(service: string): string {
  return `${service}.json`;
}

/** Stands for all services among the names of changed ones. */
const all = Symbol('all services');

/** Milliseconds until a failed write is tried again. */
const retryMs = 1_000;

/** What the configuration says about the files. */
export interface FileOutputTarget {
  /** Undefined: no files are written. */
  readonly folder: string | undefined;
  /** The services that have a file. */
  readonly services: readonly string[];
}

/** What a configuration says about the files. */
export function fileTargetOf({ fileOutput, services }: FilesConfig): FileOutputTarget {
  const withFile = [...services].filter(([, { hasFile = true }]) => hasFile).map(([name]) => name);
  return { folder: fileOutput?.output_directory, services: withFile };
}

/** The parts of a configuration that say which files there are. */
export interface FilesConfig {
  readonly fileOutput?: FileOutputConfig | undefined;
  readonly services: ReadonlyMap<string, { readonly hasFile?: boolean }>;
}

/** Keeps the files of `file_output` up to date. A snapshot is only taken over by `apply`: HAProxy never waits for a file. */
export class FileOutput implements Output {
  readonly #log: Log;
  readonly #files: Files;
  #target: FileOutputTarget;
  #snapshot: Snapshot = new Map();
  #touch: MarkDirty<string | typeof all> = () => {};
  #reason: string | null = null;

  constructor(target: FileOutputTarget, deps: { readonly log: Log; readonly files: Files }) {
    this.#target = target;
    this.#log = deps.log;
    this.#files = deps.files;
  }

  /** The folder, and why its files may be out of date; undefined without one. */
  get status(): { readonly directory: string; readonly reason: string | null } | undefined {
    const { folder: directory } = this.#target;
    return directory === undefined ? undefined : { directory, reason: this.#reason };
  }

  /** Why the files may be out of date; null while they are current. */
  get reason(): string | null {
    return this.#reason;
  }

  /** Takes another folder or other services. */
  configure(target: FileOutputTarget, snapshot: Snapshot): void {
    this.#target = target;
    this.#snapshot = snapshot;
    this.#touch(all);
  }

  async apply(snapshot: Snapshot, changed: ReadonlySet<string>): Promise<readonly AppliedService[]> {
    this.#snapshot = snapshot;
    for (const name of changed) this.#touch(name);
    return [];
  }

  /** Writes in the background until `signal` aborts. A failure is logged once and tried again. */
  async run(signal: AbortSignal): Promise<void> {
    this.#touch = coalesce((changed) => this.#write(changed, signal), signal);
    await aborted(signal);
  }

  async #write(changed: ReadonlySet<string | typeof all>, signal: AbortSignal): Promise<void> {
    const { folder, services } = this.#target;
    if (folder === undefined) {
      this.#reason = null;
      return;
    }
    const instances = new Map(services.map((name) => [name, this.#snapshot.get(name)?.instances]));
    const names = changed.has(all) ? services : (changed as ReadonlySet<string>);
    try {
      await writeFiles({ folder, services: instances }, names, this.#files);
      if (this.#reason !== null) this.#log.info('the files of file_output are written again');
      this.#reason = null;
    } catch (error) {
      fileFailures.inc();
      const reason = reasonOf(error);
      if (this.#reason === null) this.#log.error('the files of file_output cannot be written', { reason });
      this.#reason = reason;
      void sleep(retryMs, signal).then(() => this.#touch(all));
    }
  }
}
