import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { Poll, type PollRequest } from '../../../synapse/discovery/poll.ts';
import { recordingLog } from '../../support/process/recording-log.ts';
import { until } from '../../support/until.ts';

describe('a poll', () => {
  const cleanups: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0)) await cleanup();
  });

  function start(request: PollRequest, intervalMs: number, timeoutMs = 5_000) {
    const { log, lines } = recordingLog();
    const poll = new Poll(request, { what: 'the oracle', intervalMs, timeoutMs, log });
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

  it('asks at once, and then again and again', async () => {
    let requests = 0;
    const { poll } = start(async () => void requests++ as undefined, 10);
    assert.equal(requests, 1);
    await until(() => requests > 5);
    assert.equal(reasonOf(poll), null);
  });

  it('asks again when it is woken, also when that happens during a request', async () => {
    let requests = 0;
    let finish = (): void => {};
    const { poll } = start(async () => {
      requests += 1;
      await new Promise<void>((resolve) => (finish = resolve));
      return undefined;
    }, 600_000);
    poll.wake();
    finish();
    await until(() => requests === 2);
    finish();
    await until(() => reasonOf(poll) === null);
    poll.wake();
    await until(() => requests === 3);
    finish();
  });

  it('waits as long as the last request asked for', async () => {
    let requests = 0;
    start(async () => {
      requests += 1;
      return 5;
    }, 600_000);
    await until(() => requests > 3);
  });

  it('logs an outage once, and shows its reason until a request succeeds', async () => {
    let broken = true;
    let requests = 0;
    const { poll, lines } = start(async () => {
      requests += 1;
      if (broken) throw new Error('the oracle is drunk');
      return undefined;
    }, 10);
    await until(() => requests > 3);
    assert.equal(reasonOf(poll), 'the oracle is drunk');
    assert.equal(poll.status().age, null);
    assert.equal(lines.length, 1);
    broken = false;
    await until(() => reasonOf(poll) === null);
    assert.notEqual(poll.status().age, null);
  });

  it('gives up a request that hangs and does not listen to its signal', async () => {
    let requests = 0;
    const { poll } = start(
      () => {
        requests += 1;
        return new Promise(() => {});
      },
      10,
      20,
    );
    await until(() => requests > 2);
    assert.equal(reasonOf(poll), 'the oracle: no answer within 20ms');
  });

  it('ends in the middle of a request', async () => {
    const { stop } = start(() => new Promise(() => {}), 10);
    await stop();
  });
});
