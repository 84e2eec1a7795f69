import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { createPoll, type Poll } from '../../../synapse/discovery/poll.ts';
import { recordingLog } from '../../support/process/recording-log.ts';
import { until } from '../../support/until.ts';

describe('a poll', () => {
  const cleanups: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0)) await cleanup();
  });

  function start(look: (signal: AbortSignal) => Promise<number | undefined>, interval: number, timeout = 5_000) {
    const { log, lines } = recordingLog();
    const poll = createPoll(look, { what: 'the oracle', interval, timeout, log });
    const end = new AbortController();
    const done = poll.run(end.signal);
    const stop = async (): Promise<void> => {
      end.abort();
      await done;
    };
    cleanups.push(stop);
    return { poll, lines, stop };
  }
  const reasonOf = (poll: Poll): string | null => poll.status().reason;

  test('looks at once, and again and again', async () => {
    let looks = 0;
    const { poll } = start(async () => void looks++ as undefined, 10);
    assert.equal(looks, 1);
    await until(() => looks > 5);
    assert.equal(reasonOf(poll), null);
  });

  test('a wake ends the wait; one during a look brings another look', async () => {
    let looks = 0;
    let finish = (): void => {};
    const { poll } = start(async () => {
      looks += 1;
      await new Promise<void>((resolve) => (finish = resolve));
      return undefined;
    }, 600_000);
    poll.wake();
    finish();
    await until(() => looks === 2);
    finish();
    await until(() => reasonOf(poll) === null);
    poll.wake();
    await until(() => looks === 3);
    finish();
  });

  test('a look may say when it wants to look again', async () => {
    let looks = 0;
    start(async () => {
      looks += 1;
      return 5;
    }, 600_000);
    await until(() => looks > 3);
  });

  test('an outage is reported once, its reason shows until a look succeeds', async () => {
    let broken = true;
    let looks = 0;
    const { poll, lines } = start(async () => {
      looks += 1;
      if (broken) throw new Error('the oracle is drunk');
      return undefined;
    }, 10);
    await until(() => looks > 3);
    assert.equal(reasonOf(poll), 'the oracle is drunk');
    assert.equal(poll.status().age, null);
    assert.equal(lines.length, 1);
    broken = false;
    await until(() => reasonOf(poll) === null);
    assert.notEqual(poll.status().age, null);
  });

  test('a look that hangs is given up, whether it listens to its signal or not', async () => {
    let looks = 0;
    const { poll } = start(
      () => {
        looks += 1;
        return new Promise(() => {});
      },
      10,
      20,
    );
    await until(() => looks > 2);
    assert.equal(reasonOf(poll), 'the oracle: no answer within 20ms');
  });

  test('ends in the middle of a look', async () => {
    const { stop } = start(() => new Promise(() => {}), 10);
    await stop();
  });
});
