import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { jittered, sleep, supervise } from '../../../common/async/supervise.ts';
import { exec } from '../../../common/daemon/exec.ts';
import { nodePackages } from '../../support/machine/node-packages.ts';
import { recordingLog } from '../../support/process/recording-log.ts';

const backoff = { min: 1, max: 2 };

describe('supervise', () => {
  it('runs a failing task again and logs the outage once', async () => {
    const { log, lines } = recordingLog();
    const end = new AbortController();
    let runs = 0;
    const reasons: (string | null)[] = [];
    const task = async (): Promise<void> => {
      runs += 1;
      if (runs === 5) end.abort();
      throw new Error(`failure ${runs}`);
    };
    const onState = (reason: string | null): void => void reasons.push(reason);
    await supervise(task, { what: 'thing', log, backoff, onState }, end.signal);
    assert.equal(runs, 5);
    assert.deepEqual(reasons, ['failure 1', 'failure 2', 'failure 3', 'failure 4']);
    assert.deepEqual(
      lines.map(({ message, fields }) => [message, fields.reason]),
      [['thing failed, retrying', 'failure 1']],
    );
  });

  it('takes a task that returns as failed', async () => {
    const { log, lines } = recordingLog();
    const end = new AbortController();
    let runs = 0;
    const task = async (): Promise<void> => {
      runs += 1;
      if (runs === 2) end.abort();
    };
    await supervise(task, { what: 'thing', log, backoff }, end.signal);
    assert.equal(runs, 2);
    assert.equal(lines[0]?.fields.reason, 'ended unexpectedly');
  });

  it('counts a task that has run for long as healthy, and starts a new outage then', async () => {
    const { log, lines } = recordingLog();
    const end = new AbortController();
    let runs = 0;
    let healthy: (() => void) | undefined;
    const onState = (reason: string | null): void => {
      if (reason === null) healthy?.();
    };
    const task = async (): Promise<void> => {
      runs += 1;
      if (runs === 1) throw new Error('first');
      if (runs === 2) {
        await new Promise<void>((resolve) => {
          // The supervisor's own timer does not keep a process alive.
          const timer = setTimeout(resolve, 10_000);
          healthy = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        throw new Error('second');
      }
      end.abort();
    };
    await supervise(task, { what: 'thing', log, backoff, healthyAfter: 5, onState }, end.signal);
    assert.deepEqual(
      lines.map(({ message }) => message),
      ['thing failed, retrying', 'thing recovered', 'thing failed, retrying'],
    );
  });

  it('passes its signal on and returns without a word when it aborts', async () => {
    const { log, lines } = recordingLog();
    const end = new AbortController();
    const task = (signal: AbortSignal): Promise<void> =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
    const running = supervise(task, { what: 'thing', log, backoff }, end.signal);
    end.abort();
    await running;
    assert.deepEqual(lines, []);
  });

  it('does not run a task whose signal has aborted already', async () => {
    let runs = 0;
    const task = async (): Promise<void> => {
      runs += 1;
    };
    await supervise(task, { what: 'thing', log: recordingLog().log }, AbortSignal.abort());
    assert.equal(runs, 0);
  });
});

describe('jittered', () => {
  it('stays between 0 and the bound of the attempt, and never above the largest', () => {
    for (let attempt = 0; attempt < 2000; attempt++) {
      const wait = jittered({ min: 100, max: 10_000 }, attempt);
      assert.ok(wait >= 0 && wait <= Math.min(10_000, 100 * 2 ** attempt), `${attempt}: ${wait}`);
    }
  });
});

describe('sleep', () => {
  it('returns early when its signal aborts, and does not reject', async () => {
    const end = new AbortController();
    const sleeping = sleep(3_600_000, end.signal);
    end.abort();
    await sleeping;
    await sleep(3_600_000, end.signal);
  });

  it('has no warning of Node to say when the time is over already, with the Node of our images', async () => {
    const node = join(await nodePackages(), 'node/bin/node');
    const script = 'import(process.argv[1]).then(({ sleep }) => sleep(-5)).then(() => console.log("slept"))';
    const module = new URL('../../../common/async/supervise.js', import.meta.url).href;
    const { stdout, stderr } = await exec([node, '-e', script, module], { timeout: 60_000 });
    assert.deepEqual([stdout, stderr], ['slept\n', '']);
  });
});
