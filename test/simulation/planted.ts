import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { SeedResult } from './run-seed.ts';

/** A fault that is put into a copy of the built daemons, to see whether a simulation finds it. */
export interface PlantedFault {
  readonly name: string;
  /** Path of the built file. */
  readonly file: string;
  /** Each text is in the file once; what it becomes. */
  readonly edits: readonly (readonly [from: string, to: string])[];
}

/** Faults that a simulation must find. */
export const plantedFaults: readonly PlantedFault[] = [
  {
    name: 'a key is written whatever its revision is',
    file: 'common/etcd/keys/key-operations.js',
    edits: [["compare: [{ key, target: 'Mod', result: 'Equal', mod_revision: modRevision }],", 'compare: [],']],
  },
  {
    name: 'a lease is not replaced after a write that was not answered',
    file: 'common/etcd/keys/lease.js',
    edits: [['rotate() {', 'rotate() {\n        return;']],
  },
  {
    name: 'a lost lease is not noticed',
    file: 'common/etcd/keys/lease.js',
    edits: [['lost(id) {', 'lost(id) {\n        return;']],
  },
  {
    name: 'every 50th event of a watch is lost',
    file: 'common/etcd/watch/watch-stream.js',
    edits: [
      [
        'watched.applyEvents(events, seenAt)',
        'watched.applyEvents(events.filter(() => (globalThis.planted = (globalThis.planted ?? 0) + 1) % 50 !== 0), seenAt)',
      ],
    ],
  },
  {
    name: 'a compacted watch is not begun again',
    file: 'common/etcd/watch/watch-stream.js',
    edits: [['this.#hooks.onWatcherEnd(watcher.watched, end, error);', '']],
  },
  {
    name: 'a replaced worker is taken for the one in charge',
    file: 'synapse/haproxy/runtime/process.js',
    edits: [
      ["if (worker.stopping || relation === 'replaced') {", 'if (false) {'],
      ['if (worker.stopping || this.worker === undefined', 'if (this.worker === undefined'],
    ],
  },
  {
    name: 'backends without servers are forgotten',
    file: 'synapse/haproxy/runtime/server-state.js',
    edits: [['if (!this.#running.has(backend))', 'if (false)']],
  },
  {
    name: 'a change that had no effect is not sent again',
    file: 'synapse/haproxy/runtime/attempts.js',
    edits: [['if (attempt?.retryAt === undefined)', 'if (attempt === undefined)']],
  },
  {
    name: 'a pause leaves its timer behind when it is aborted',
    file: 'common/async/sleep.js',
    edits: [['clock.clearTimeout(timer);', '']],
  },
  {
    name: 'each event of a watch leaves a timer',
    file: 'common/etcd/watch/watch-stream.js',
    edits: [
      ['#events(response, seenAt) {', '#events(response, seenAt) {\n        clock.setTimeout(() => { }, 86_400_000);'],
    ],
  },
  {
    name: 'synapse does not know its own maintenance after a restart',
    file: 'synapse/haproxy/runtime/server-state.js',
    edits: [
      [
        'const isMarked = closed && weight === closedByUsWeight && file?.weight !== closedByUsWeight;',
        'const isMarked = false;',
      ],
    ],
  },
  {
    name: 'the state file counts for more than haproxy.cfg',
    file: 'synapse/haproxy/output.js',
    edits: [['this.#desired.update(this.#trusted(snapshot), changed)', 'this.#desired.update(snapshot, changed)']],
  },
  {
    name: 'a key that was deleted while its lease lives counts as lost',
    file: 'common/etcd/watch/judged-deletes.js',
    edits: [
      ["follower.settle(lease, verdict === 'alive' ? 'withdrawn' : 'lost');", "follower.settle(lease, 'lost');"],
      ["passed.push(...this.#takePending(lease, 'withdrawn'));", "passed.push(...this.#takePending(lease, 'lost'));"],
    ],
  },
  {
    name: 'a withdrawn instance counts as lost',
    file: 'synapse/catalog/lost-leases.js',
    edits: [
      [
        "if (state === 'down' || says(present, id, key) || says(set.withdrawn, id, key))",
        "if (state === 'down' || says(present, id, key))",
      ],
    ],
  },
  {
    name: 'a lost instance that does not answer is kept',
    file: 'synapse/catalog/lost-leases.js',
    edits: [["const fails = look.answer !== 'answers' && !look.isBlind;", 'const fails = false;']],
  },
  {
    name: 'a wave of lost leases is not noticed',
    file: 'synapse/catalog/lost-leases.js',
    edits: [['#isWave(service) {', '#isWave(service) {\n        return false;']],
  },
  {
    name: 'a suspect stays although another service has its address',
    file: 'synapse/catalog/lost-leases.js',
    edits: [
      [
        '#compareOne(service, { instance, lease, key }, announced) {',
        '#compareOne(service, { instance, lease, key }, announced) {\n        return;',
      ],
    ],
  },
  {
    name: 'nerve takes no announcement back whose lease was lost',
    file: 'common/etcd/keys/next-step.js',
    edits: [["if (isAbsent && !(owesTombstone(key) && withdrawal === 'lasting'))", 'if (isAbsent)']],
  },
];

const built = fileURLToPath(new URL('../../', import.meta.url));
/** Below the repository, so that its packages are found; one for each process. */
const copy = join(built, '..', '.cache', `planted-${process.pid}`);

/**
 * Plants one fault after the other, and runs seeds until one finds it.
 * @param most how many seeds a fault gets
 * @returns the exit code: 1 when a fault was not found
 */
export async function runPlanted(
  faults: readonly PlantedFault[],
  { first, most }: { readonly first: number; readonly most: number },
): Promise<number> {
  let missed = 0;
  for (const fault of faults) {
    await plant(fault);
    const found = await seedsUntilFound(first, most);
    if (found === undefined) missed += 1;
    const verdict = found === undefined ? `NOT FOUND by ${most} seeds` : `${found.seeds} seeds: ${found.violation}`;
    process.stdout.write(`${fault.name}: ${verdict}\n`);
  }
  await rm(copy, { recursive: true, force: true });
  return missed === 0 ? 0 : 1;
}

/** Makes the copy with one fault in it. @throws when a text is not there exactly once */
async function plant(fault: PlantedFault): Promise<void> {
  await rm(copy, { recursive: true, force: true });
  await cp(built, join(copy, 'dist'), { recursive: true });
  await cp(join(dirname(built), 'package.json'), join(copy, 'package.json'));
  await writeFile(join(copy, 'dist', fault.file), await withFault(fault));
}

/** Tries whether every fault can be planted. @throws when the text of one is not there exactly once */
export async function checkPlanted(): Promise<void> {
  for (const fault of plantedFaults) await withFault(fault);
}

async function withFault({ name, file, edits }: PlantedFault): Promise<string> {
  let text = await readFile(join(built, file), 'utf8');
  for (const [from, to] of edits) {
    const count = text.split(from).length - 1;
    if (count !== 1) throw new Error(`'${name}' cannot be planted: ${file} has '${from}' ${count} times`);
    text = text.replace(from, () => to);
  }
  return text;
}

/** @returns how many seeds it took, and what was violated; undefined when none found it */
function seedsUntilFound(
  first: number,
  most: number,
): Promise<{ readonly seeds: number; readonly violation: string } | undefined> {
  const worker = new Worker(join(copy, 'dist', 'test', 'simulation', 'worker.js'));
  return new Promise((resolve, reject) => {
    let seeds = 0;
    const end = (found?: { readonly seeds: number; readonly violation: string }): void => {
      worker.terminate().then(() => resolve(found), reject);
    };
    worker.on('message', ({ violation }: SeedResult) => {
      seeds += 1;
      if (violation !== null) end({ seeds, violation: violation.split('\n')[0] ?? '' });
      else if (seeds >= most) end();
      else worker.postMessage(first + seeds);
    });
    worker.on('error', (error) => end({ seeds: seeds + 1, violation: `a crash: ${error.message}` }));
    worker.postMessage(first);
  });
}
