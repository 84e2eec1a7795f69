import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { sleep, WakeableSleep } from '../../../common/async/sleep.ts';
import { exec } from '../../../common/daemon/exec.ts';
import { nodePackages } from '../../support/machine/node-packages.ts';
import { builtModule } from '../../support/repository.ts';

describe('sleep', () => {
  it('returns early when its signal aborts, and does not reject', async () => {
    const end = new AbortController();
    const sleeping = sleep(3_600_000, end.signal);
    end.abort();
    await sleeping;
    await sleep(3_600_000, end.signal);
  });

  it('does not make the Node.js of our images warn when the time is over already', async () => {
    const node = join(await nodePackages(), 'node/bin/node');
    const script = 'import(process.argv[1]).then(({ sleep }) => sleep(-5)).then(() => console.log("slept"))';
    const module = builtModule('common/async/sleep.js');
    const { stdout, stderr } = await exec([node, '-e', script, module], { timeoutMs: 60_000 });
    assert.deepEqual([stdout, stderr], ['slept\n', '']);
  });
});

describe('a wakeable sleep', () => {
  const hour = 3_600_000;

  it('ends when it is woken, when its signal aborts and when its time is over', async () => {
    const pause = new WakeableSleep();
    const end = new AbortController();
    const sleeping = pause.sleep(hour, end.signal);
    pause.wake();
    await sleeping;
    await pause.sleep(1, end.signal);
    assert.equal(getEventListeners(end.signal, 'abort').length, 0);
    const last = pause.sleep(hour, end.signal);
    end.abort();
    await last;
    await pause.sleep(hour, end.signal);
  });

  it('does not end at once when what it was woken for is handled already', async () => {
    const pause = new WakeableSleep();
    const end = new AbortController();
    pause.wake();
    pause.clear();
    const sleeping = pause.sleep(hour, end.signal);
    assert.equal(await hasEnded(sleeping), false);
    end.abort();
    await sleeping;
  });

  it('ends at once when it was woken before, once', async () => {
    const pause = new WakeableSleep();
    const end = new AbortController();
    pause.wake();
    pause.wake();
    await pause.sleep(hour, end.signal);
    const second = pause.sleep(hour, end.signal);
    assert.equal(await hasEnded(second), false);
    end.abort();
    await second;
  });
});

/** Whether something has ended when the event loop has come round. */
async function hasEnded(waiting: Promise<void>): Promise<boolean> {
  let over = false;
  void waiting.then(() => {
    over = true;
  });
  await new Promise(setImmediate);
  return over;
}
