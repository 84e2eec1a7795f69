import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { supervise } from '../../../common/async/supervise.ts';
import { recordingLog } from '../../support/process/recording-log.ts';

const backoff = { baseMs: 1, maxMs: 2 };

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
    const onReason = (reason: string | null): void => void reasons.push(reason);
    await supervise(task, { what: 'thing', log, backoff, onReason }, end.signal);
    assert.equal(runs, 5);
    assert.deepEqual(reasons, ['failure 1', 'failure 2', 'failure 3', 'failure 4']);
    assert.deepEqual(
      lines.map(({ message, fields }) => [message, fields.reason]),
      [['thing failed, retrying', 'failure 1']],
    );
  });

  it('counts a task that returns as failed', async () => {
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

  it('counts a long run as healthy, so that the next failure starts a new outage', async () => {
    const { log, lines } = recordingLog();
    const end = new AbortController();
    let runs = 0;
    let healthy: (() => void) | undefined;
    const onReason = (reason: string | null): void => {
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
    await supervise(task, { what: 'thing', log, backoff, healthyAfterMs: 5, onReason }, end.signal);
    assert.deepEqual(
      lines.map(({ message }) => message),
      ['thing failed, retrying', 'thing recovered', 'thing failed, retrying'],
    );
  });

  it('passes its signal to the task, and logs nothing when it aborts', async () => {
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
