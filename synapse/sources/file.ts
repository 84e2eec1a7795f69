import { type FSWatcher, watch } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { formatProblem, joinPath, type Problem } from '../../common/config.ts';
import { isObject } from '../../common/formats.ts';
import { type Instance, makeInstance, readRecord } from '../../common/instance.ts';
import { reasonOf } from '../../common/log.ts';
import { parseText } from '../../common/parse.ts';
import { sleep } from '../../common/supervise.ts';
import { createPublisher, Findings } from '../findings.ts';
import { createPoll } from '../poll.ts';
import type { Source, SourceContext, SourcePlugin } from '../source.ts';

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

/** Far more than any list of instances needs. */
const maxBytes = 16 << 20;
/** A file written in place is read only after it has been left alone for so long, milliseconds. */
const settled = 100;
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

/**
 * Watches the folder, not the file: a file that is replaced by a rename is another file. Returns what opens the watches
 * that could not be opened before, or were lost.
 */
function watchChanges(path: string, onChange: () => void, signal: AbortSignal): () => void {
  const watchers = new Map<string, FSWatcher>();
  const close = (folder: string): void => {
    watchers.get(folder)?.close();
    watchers.delete(folder);
  };
  signal.addEventListener('abort', () => [...watchers.keys()].forEach(close), { once: true });
  return () => {
    for (const folder of new Set([path, dirname(path)])) {
      if (watchers.has(folder) || signal.aborted) continue;
      try {
        const watcher = watch(folder, { persistent: false }, (event, name) => {
          // Not every event names its file. A folder that is replaced is no longer the one we watch.
          if (event === 'rename' && (name === null || name === basename(folder))) close(folder);
          onChange();
        });
        watcher.on('error', () => close(folder));
        watchers.set(folder, watcher);
      } catch {
        // No such folder yet, or no more watches to be had: then the regular reading finds the changes.
      }
    }
  };
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

/**
 * The text of a file that nobody is writing: half a JSON list is no JSON, but half a YAML list is a list.
 * @throws when it is missing, too large, or written without a pause
 */
async function readSettled(path: string, signal: AbortSignal): Promise<string> {
  for (let tries = 0; tries < 50 && !signal.aborted; tries++) {
    const file = await open(path, 'r');
    try {
      const before = await file.stat();
      if (before.size > maxBytes) throw new Error(`${path}: ${before.size} bytes, at most ${maxBytes} are read`);
      const text = await file.readFile('utf8');
      const after = await file.stat();
      const same = before.size === after.size && before.mtimeMs === after.mtimeMs;
      // A clock that was set back must not keep us waiting.
      if (same && Math.abs(Date.now() - after.mtimeMs) >= settled) return text;
    } finally {
      await file.close();
    }
    await sleep(settled / 2, signal);
  }
  throw new Error(`${path}: is being written all the time`);
}

/** @throws when it is no list at all; entries that cannot be used are rejected one by one */
function readList(text: string, file: string): Findings {
  const problems: Problem[] = [];
  const value = parseText(text, file, problems);
  const [problem] = problems;
  if (problem !== undefined) throw new Error(formatProblem({ file, ...problem }));
  if (!Array.isArray(value)) throw new Error(`${file}: must hold a list of instances`);
  const found = new Findings();
  for (const [index, entry] of value.entries()) {
    const where = `${file}: ${joinPath('', index)}`;
    if (typeof entry === 'string') found.add(where, () => readTarget(entry));
    else if (isObject(entry) && Object.hasOwn(entry, 'targets')) addGroup(found, where, entry);
    else found.add(where, () => readRecord(entry));
  }
  return found;
}

/** One entry of Prometheus' file_sd: `{targets: ["host:port"], labels: {}}`. */
function addGroup(found: Findings, where: string, { targets, labels }: Readonly<Record<string, unknown>>): void {
  if (!Array.isArray(targets)) found.reject(where, 'targets: must be a list of "host:port"');
  for (const [index, target] of Array.isArray(targets) ? targets.entries() : []) {
    found.add(`${where}.${joinPath('targets', index)}`, () => readTarget(target, labels));
  }
}

function readTarget(target: unknown, labels?: unknown): Instance {
  const match = typeof target === 'string' ? /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(target) : null;
  if (match === null) throw new Error(`${JSON.stringify(target)}: must be "host:port", "[address]:port" for IPv6`);
  return makeInstance({
    host: match[1] ?? match[2] ?? '',
    port: Number(match[3]),
    ...(labels != null && { labels: labels as Record<string, string> }),
  });
}
