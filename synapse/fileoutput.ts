import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Schema } from '../common/config/config.ts';
import { writeFileAtomic } from '../common/file.ts';
import type { Instance } from '../common/instance.ts';

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
