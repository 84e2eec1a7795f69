import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../../../common/daemon/log.ts';
import { ApplyLoop, type ApplyLoopDeps } from '../../../synapse/haproxy/apply-loop.ts';
import { eventually } from '../../support/eventually.ts';

describe('the loop that writes the file and reloads', () => {
  it('does not reload when the reason is gone once the file is written', async () => {
    const end = new AbortController();
    const done: string[] = [];
    let isDue = true;
    const deps: ApplyLoopDeps = {
      log: silentLog,
      processes: [],
      use: 'merged',
      writer: {
        observe: () => false,
        write: async () => {
          done.push('written');
          // HAProxy has come back meanwhile.
          isDue = false;
        },
      },
      reloader: {
        observe: () => (isDue ? 0 : undefined),
        reload: async () => {
          done.push('reloaded');
        },
        run: async () => {},
      },
    };
    const loop = new ApplyLoop(deps);
    const running = loop.run(end.signal);
    await eventually(() => assert.ok(done.length > 0));
    loop.touch();
    await eventually(() => assert.ok(done.length > 1));
    end.abort();
    await running;
    assert.deepEqual(done, ['written', 'written']);
  });

  it('writes what came during the write before it decides about the reload', async () => {
    const end = new AbortController();
    const done: string[] = [];
    const deps: ApplyLoopDeps = {
      log: silentLog,
      processes: [],
      use: 'merged',
      writer: {
        observe: () => false,
        write: async () => {
          done.push('written');
          if (done.length === 1) loop.touch();
        },
      },
      reloader: {
        observe: () => (done.length < 2 ? 0 : undefined),
        reload: async () => {
          done.push('reloaded');
        },
        run: async () => {},
      },
    };
    const loop = new ApplyLoop(deps);
    const running = loop.run(end.signal);
    await eventually(() => assert.ok(done.length > 1));
    end.abort();
    await running;
    assert.deepEqual(done, ['written', 'written']);
  });
});
