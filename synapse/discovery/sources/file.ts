import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf } from '../../../common/daemon/log.ts';
import type { Source, SourceContext, SourcePlugin } from '../../source.ts';
import { createPublisher, Findings } from '../instance-set-builder.ts';
import { createPoll } from '../poll.ts';
import { readList } from './file/list.ts';
import { readSettled } from './file/settled.ts';
import { watchChanges } from './file/watch.ts';

/** Options of `method: file`. */
export interface FileOptions {
  readonly path: string;
  readonly check_interval: number;
}

export const source: SourcePlugin<FileOptions> = {
  description:
    'Reads lists of instances from a JSON or YAML file, or all such files of a folder, and follows their changes.',
  schema: {
    path: {
      doc: 'A file, or a folder. Lists of {host, port, …}, of "host:port", or of {targets, labels} as Prometheus has them.',
      format: 'non-empty-string',
      default: null,
    },
    check_interval: {
      doc: 'How often to read again what no change was reported for.',
      format: 'positive-duration',
      default: 30_000,
    },
  },
  example: { path: '/etc/synapse/api.json' },
  create,
};

/** One read, with the waits for files that are being written. */
const timeout = 10_000;

/** What a file held when it was last good, and what is wrong with it now. */
interface Known {
  readonly findings?: Findings;
  readonly trouble?: string;
}

function create({ path, check_interval: interval }: FileOptions, context: SourceContext): Source {
  const { log } = context;
  const publisher = createPublisher(context);
  let hand: (found: Findings) => void = () => {};
  let files: ReadonlyMap<string, Known> = new Map();
  let trouble: string | null = null;
  let openEyes = (): void => {};

  const report = (reason: string | null): void => {
    if (reason !== null && reason !== trouble) {
      log.warn('a list of instances cannot be read, what it last said stands', { reason });
    }
    trouble = reason;
  };
  const look = async (signal: AbortSignal): Promise<undefined> => {
    // Before reading: a change after it must not go unseen.
    openEyes();
    try {
      // What was in a file that is gone is gone as well.
      files = await readAll(path, files, signal);
    } catch (error) {
      signal.throwIfAborted();
      // Not thrown on: the next change shall be looked at when it comes, not after a wait.
      report(reasonOf(error));
      return;
    }
    const all = [...files.values()];
    report(all.find((known) => known.trouble !== undefined)?.trouble ?? null);
    // All of them or none: a set without the ones that were never good would not be the full one.
    if (all.some((known) => known.findings === undefined)) return;
    const found = new Findings();
    for (const known of all) if (known.findings !== undefined) found.addAll(known.findings);
    hand(found);
  };
  const poll = createPoll(look, { what: path, interval, timeout, log });

  const follow: Source = (publish, signal) => {
    hand = publisher.start(publish);
    openEyes = watchChanges(path, poll.wake, signal);
    return poll.run(signal);
  };
  return Object.assign(follow, {
    status() {
      const { reason, age } = poll.status();
      return { reason: reason ?? trouble, age: trouble === null ? age : null };
    },
  });
}

/** The file itself, or the lists in the folder, sorted. Names with a leading dot are someone's unfinished work. */
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
  known: ReadonlyMap<string, Known>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Known>> {
  const all = new Map<string, Known>();
  for (const file of await listFiles(path)) all.set(file, await readGood(file, known.get(file), signal));
  return all;
}

async function readGood(file: string, known: Known | undefined, signal: AbortSignal): Promise<Known> {
  try {
    return { findings: readList(await readSettled(file, signal), file) };
  } catch (error) {
    signal.throwIfAborted();
    return { ...known, trouble: reasonOf(error) };
  }
}
