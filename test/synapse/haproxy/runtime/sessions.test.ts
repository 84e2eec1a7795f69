import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { thisHost } from '../../../../common/host.ts';
import { parseSessions, readSessions } from '../../../../synapse/haproxy/runtime/sessions.ts';
import { fakeRuntime } from '../../../support/haproxy/fake-runtime.ts';

const info = 'Version: 3.2.0\nPid: 7\nUptime_sec: 1\nStart_time_sec: 1\nStopping: 0\n\n';
const rows =
  '# pxname,svname,qcur,qmax,scur,smax\nb,s,1,0,2,5,\n\n# pxname,svname,qcur,qmax,scur,smax\nb,t,,0,0,5,\n\n';

describe('the sessions of servers', () => {
  it('are those in progress and those that wait', () => {
    assert.deepEqual(
      [...parseSessions(rows)],
      [
        ['b/s', 3],
        ['b/t', 0],
      ],
    );
  });

  for (const [qcur, scur] of [
    ['', ''],
    ['', '-1'],
    ['-1', '2'],
    [' ', '3'],
    ['1', '1e9'],
    ['0', 'Infinity'],
    ['1.5', '1'],
    ['0x10', '1'],
  ] as const) {
    it(`are not known where HAProxy says ${JSON.stringify(scur)} in progress and ${JSON.stringify(qcur)} waiting`, () => {
      assert.deepEqual([...parseSessions(`# pxname,svname,qcur,scur\nb,s,${qcur},${scur}\n`)], []);
    });
  }

  const read = async (t: TestContext, reply: string | undefined, pid = 7) => {
    const { path, lines } = await fakeRuntime(t, { answer: () => reply, closes: true });
    const options = { connectUnix: thisHost.connectUnix, replyTimeoutMs: 300 };
    const isInCharge = (worker: { readonly pid: number }): boolean => worker.pid === pid;
    const commands = ['show stat 1 4 1', 'show stat 1 4 2'];
    try {
      return await readSessions(path, commands, { ...options, isInCharge }, new AbortController().signal);
    } finally {
      assert.deepEqual(lines, ['show info;show stat 1 4 1;show stat 1 4 2']);
    }
  };

  it('are read with one line, from the worker in charge', async (t) => {
    assert.deepEqual(
      [...(await read(t, info + rows))],
      [
        ['b/s', 3],
        ['b/t', 0],
      ],
    );
  });

  for (const [what, reply, pid, reason] of [
    ['another worker has replied', info + rows, 8, /another worker has replied/],
    ['no worker says who it is', rows, 7, /show info answered/],
    ['a reply does not parse', `${info}${rows}Unknown command\n`, 7, /show stat answered "Unknown command"/],
    ['nothing is answered in time', undefined, 7, /no reply within 300 ms/],
  ] as const) {
    it(`are not read when ${what}`, async (t) => {
      await assert.rejects(read(t, reply, pid), reason);
    });
  }
});
