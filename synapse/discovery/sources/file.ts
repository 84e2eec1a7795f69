import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf } from '../../../common/daemon/log.ts';
import type { Source, SourceContext, SourcePlugin } from '../../source.ts';
import { InstanceSetBuilder, SetPublisher } from '../instance-set-builder.ts';
import { Poll } from '../poll.ts';
import { readList } from './file/list.ts';
import { readSettled } from './file/settled.ts';
import { watchChanges } from './file/watch.ts';

/** Options of `method: file`. */
export interface FileOptions {
  readonly path: string;
  readonly check_interval: number;
}

/** The source `file`. */
export const source: SourcePlugin<FileOptions> = {
  description:
    'Reads lists of instances from a JSON or YAML file, or all such files of a folder, and follows their changes.',
  schema: {
    path: {
      doc: 'A file, or a folder, with lists of {host, port, …}, of "host:port", or of {targets, labels} as Prometheus uses them.',
      format: 'non-empty-string',
      names: 'file or folder',
      default: null,
    },
    check_interval: {
      doc: 'How often to read files without a reported change again.',
      format: 'positive-duration',
      default: 30_000,
    },
  },
  example: { path: '/etc/synapse/api.json' },
  create,
};

/** For one read of all files, with the waits for files that are being written. */
const timeoutMs = 10_000;

/** A file's last valid content; undefined before there was any. `reason`: why the current content is not valid. */
interface FileState {
  readonly findings: InstanceSetBuilder | undefined;
  readonly reason: string | null;
}

function create({ path, check_interval: interval }: FileOptions, context: SourceContext): Source {
  const { log } = context;
  const publisher = new SetPublisher(context);
  let publishFound: (found: InstanceSetBuilder) => void = () => {};
  let files: ReadonlyMap<string, FileState> = new Map();
  let failure: string | null = null;
  let openWatches = (): void => {};

  const report = (reason: string | null): void => {
    if (reason !== null && reason !== failure) {
      log.warn('a list of instances cannot be read, its last valid content stays in use', { reason });
    }
    failure = reason;
  };
  const read = async (signal: AbortSignal): Promise<undefined> => {
    // Before reading, so that a change after it is noticed.
    openWatches();
    try {
      // Instances of a removed file are removed too.
      files = await readAll(path, files, signal);
    } catch (error) {
      signal.throwIfAborted();
      // Not thrown: after an error, the poll would wait before it reads the next change.
      report(reasonOf(error));
      return;
    }
    const all = [...files.values()];
    report(all.find(({ reason }) => reason !== null)?.reason ?? null);
    // All or nothing: without a file that was never valid, the set would not be complete.
    if (all.some(({ findings }) => findings === undefined)) return;
    const found = new InstanceSetBuilder();
    for (const { findings } of all) if (findings !== undefined) found.addAll(findings);
    publishFound(found);
  };
  const poll = new Poll(read, { what: path, intervalMs: interval, timeoutMs, log });

  const follow: Source = (publish, signal) => {
    publishFound = publisher.start(publish);
    openWatches = watchChanges(path, () => poll.wake(), signal);
    return poll.run(signal);
  };
  return Object.assign(follow, {
    status() {
      const { reason, age } = poll.status();
      return { reason: reason ?? failure, age: failure === null ? age : null };
    },
  });
}

/** The file itself, or the sorted lists in the folder. Programs often write files with a leading dot and rename them later. */
async function listFiles(path: string): Promise<readonly string[]> {
  try {
    const names = await readdir(path);
    return names
      .filter((name) => /^[^.].*\.(?:json|ya?ml)$/i.test(name))
      .sort()
      .map((name) => join(path, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return [path];
    throw new Error(`cannot read ${path}`, { cause: error });
  }
}

async function readAll(
  path: string,
  previous: ReadonlyMap<string, FileState>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, FileState>> {
  const all = new Map<string, FileState>();
  for (const file of await listFiles(path)) all.set(file, await readFileState(file, previous.get(file), signal));
  return all;
}

async function readFileState(file: string, previous: FileState | undefined, signal: AbortSignal): Promise<FileState> {
  try {
    return { findings: readList(await readSettled(file, signal), file), reason: null };
  } catch (error) {
    signal.throwIfAborted();
    return { findings: previous?.findings, reason: reasonOf(error) };
  }
}
