import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseWorkers } from '../../../../synapse/haproxy/reload/master.ts';
import { parseTraffic, rowsOf } from '../../../../synapse/haproxy/runtime/read-servers.ts';
import { noWorkers, oldWorkersWithin, withWorker } from '../../../../synapse/haproxy/runtime/worker.ts';

const table = (...rows: readonly string[]): string => `# pxname,svname,qcur,scur,mode\n${rows.join('\n')}\n`;

describe('the clients of a worker on its way out', () => {
  for (const [what, rows, mayChoose] of [
    ['nobody is connected', ['api,FRONTEND,,0,http', 'api,BACKEND,0,0,http'], false],
    ['an HTTP client is connected, idle or not', ['api,FRONTEND,,1,http', 'api,BACKEND,0,0,http'], true],
    ['every TCP connection has its server', ['db,FRONTEND,,2,tcp', 'db,BACKEND,0,2,tcp'], false],
    ['a TCP connection has no server yet', ['db,FRONTEND,,2,tcp', 'db,BACKEND,0,1,tcp'], true],
    ['a TCP connection waits for a server', ['db,FRONTEND,,2,tcp', 'db,BACKEND,1,2,tcp'], true],
    ['this version does not say the mode', ['api,FRONTEND,,1,', 'api,BACKEND,0,1,'], true],
  ] as const) {
    it(`${mayChoose ? 'may be given' : 'are given'} ${mayChoose ? 'another' : 'no other'} server when ${what}`, () => {
      assert.deepEqual(parseTraffic(table(...rows)), { mayChoose });
    });
  }

  it('are not read from another reply', () => {
    assert.throws(() => parseTraffic('Permission denied\n'), /Permission denied|answered nothing/);
  });
});

describe('the servers of a backend', () => {
  it('are none when the backend is not there', () => {
    assert.deepEqual(rowsOf('api', "Can't find backend.\n"), []);
    assert.throws(() => rowsOf('api', 'Permission denied\n'), /Permission denied/);
  });
});

describe('the workers of a master', () => {
  const reply = (workers: string, old: string, failed = 0): string =>
    `#<PID>\n10 master 3 [failed: ${failed}] 0d\n# workers\n${workers}# old workers\n${old}# programs\n`;

  it('are read from show proc', () => {
    const workers = parseWorkers(reply('12 worker 0 0d\n', '11 worker 1 0d\n9 worker 2 0d\n'));
    assert.deepEqual(workers, { current: [12], old: [11, 9], hasFailed: false });
    assert.deepEqual(parseWorkers(reply('', '11 worker 1 0d\n', 1)), { current: [], old: [11], hasFailed: true });
    assert.throws(() => parseWorkers('nothing'), /show proc answered/);
  });
});

describe('workers that may be on their way out, where there is no master', () => {
  const worker = (pid: number, uptimeSeconds = 0) => ({
    ...{ version: '3.2', pid, stopping: false, uptimeSeconds, startedAt: pid },
  });

  it('are those that were replaced within the time', () => {
    let history = withWorker(noWorkers, worker(1, 3_600), 1_000);
    assert.equal(oldWorkersWithin(history, 900_000, 1_000), 0);
    history = withWorker(history, worker(2), 5_000);
    history = withWorker(history, worker(3), 50_000);
    assert.equal(oldWorkersWithin(history, 900_000, 60_000), 2);
    assert.equal(oldWorkersWithin(history, 20_000, 60_000), 1);
    assert.equal(oldWorkersWithin(history, 5_000, 60_000), 0);
  });

  it('are one more while the first worker is so young that it may have replaced another one', () => {
    const history = withWorker(noWorkers, worker(1, 60), 0);
    assert.equal(oldWorkersWithin(history, 900_000, 0), 1);
    assert.equal(oldWorkersWithin(history, 900_000, 839_000), 1);
    assert.equal(oldWorkersWithin(history, 900_000, 841_000), 0);
  });
});
