import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { WorkerInfo } from '../../../../synapse/haproxy/runtime/parse.ts';
import { noWorkers, relationOf, withWorker } from '../../../../synapse/haproxy/runtime/worker.ts';

const worker = (pid: number, startedAt: number | undefined, uptimeSeconds: number): WorkerInfo => ({
  version: '3.2.0',
  pid,
  stopping: false,
  uptimeSeconds,
  startedAt,
});

describe('the workers behind one socket', () => {
  const first = worker(7, 1_000, 60);
  const second = worker(8, 1_060, 0);
  const cases: readonly (readonly [string, readonly WorkerInfo[], WorkerInfo, string])[] = [
    ['the first worker is the first', [], first, 'first'],
    ['a worker that has grown older is the same', [first], worker(7, 1_000, 90), 'same'],
    ['a worker whose uptime was rounded down is the same', [first], worker(7, 1_000, 59), 'same'],
    ['a worker with another pid is new', [first], second, 'new'],
    ['a worker with the same pid and another start is new', [first], worker(7, 1_080, 60), 'new'],
    [
      'a worker with the same pid is new when it is younger, where the start is unknown',
      [worker(7, undefined, 60)],
      worker(7, undefined, 3),
      'new',
    ],
    ['the worker before is replaced', [first, second], worker(7, 1_000, 61), 'replaced'],
    ['a worker long before is replaced', [first, second, worker(9, 1_070, 0)], worker(7, 1_000, 75), 'replaced'],
    [
      'a worker with the pid of a replaced one is new when it started later',
      [first, second],
      worker(7, 1_080, 0),
      'new',
    ],
  ];
  for (const [what, before, read, relation] of cases) {
    it(what, () =>
      assert.equal(
        relationOf(
          before.reduce((history, one) => withWorker(history, one, 0), noWorkers),
          read,
        ),
        relation,
      ),
    );
  }

  it('are counted once each, and the last hundred that were replaced are remembered', () => {
    let history = noWorkers;
    for (let pid = 1; pid <= 150; pid++) {
      for (const uptime of [0, 1]) history = withWorker(history, worker(pid, 1_000 + pid, uptime), 0);
    }
    assert.deepEqual([history.seen, history.current?.pid, history.replaced.length], [150, 150, 100]);
    assert.deepEqual(history.replaced.at(-1), worker(149, 1_149, 1));
  });
});
