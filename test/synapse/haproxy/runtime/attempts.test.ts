import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Attempts } from '../../../../synapse/haproxy/runtime/attempts.ts';
import type { ServerChange } from '../../../../synapse/haproxy/runtime/draft.ts';
import type { RunningServer } from '../../../../synapse/haproxy/spec/types.ts';

const change = (name: string, fields: Partial<RunningServer> = {}, backend = 'api'): ServerChange =>
  ({
    backend,
    name,
    action: 'add',
    after: { address: '10.0.0.1:1', ...fields },
  }) as Partial<ServerChange> as ServerChange;

const minuteMs = 60_000;

/** Attempts at a time that the test sets. `read`: a reading that still asks for these changes; returns what is sent. */
function openAttempts() {
  let now = 0;
  const attempts = new Attempts(() => now);
  return {
    attempts,
    pass(ms: number): void {
      now += ms;
    },
    read(...changes: readonly ServerChange[]) {
      attempts.observe('api', changes);
      const { send, reload, stuck } = attempts.screen(changes);
      return { send: send.map(({ name }) => name), reload: reload.length, stuck: stuck.length };
    },
  };
}

const sent = { send: ['one'], reload: 0, stuck: 0 };
const reload = { send: [], reload: 1, stuck: 0 };
const stuck = { send: [], reload: 0, stuck: 1 };

describe('a change of a server that has no effect', () => {
  const one = change('one');

  it('is sent twice more, and then takes a reload', () => {
    const { attempts, read } = openAttempts();
    assert.deepEqual([read(one), read(one), read(one), read(one)], [sent, sent, reload, reload]);
    assert.deepEqual(attempts.screen([one]).reload, [
      { backend: 'api', name: 'one', reason: 'HAProxy does not add api/one at run time' },
    ]);
  });

  it('is not sent again when HAProxy refused it for good, and the refusal is quoted', () => {
    const { attempts, read } = openAttempts();
    const two = change('two');
    attempts.refused(one, 'No such thing.', true);
    attempts.refused(two, 'Busy.', false);
    assert.deepEqual(read(one, two), { send: ['two'], reload: 1, stuck: 0 });
    assert.match(attempts.screen([one]).reload[0]?.reason ?? '', /: No such thing\.$/);
  });

  it('is given up although HAProxy refuses it each time as if it were for another reason', () => {
    const { attempts, read } = openAttempts();
    let count = 0;
    for (; count < 10 && read(one).send.length > 0; count += 1) attempts.refused(one, 'Already used.', false);
    assert.ok(count <= 3, `sent ${count} times`);
  });

  it('is tried once more after 1, 2, 4 and then every 5 minutes, and is stuck after the second reload', () => {
    const { attempts, pass, read } = openAttempts();
    attempts.refused(one, 'No.', true);
    assert.deepEqual(read(one), reload);
    const expected = [reload, stuck, stuck, stuck];
    for (const [index, minutes] of [1, 2, 4, 5].entries()) {
      pass(minutes * minuteMs - 1);
      assert.deepEqual(read(one).send, [], `before ${minutes} minutes`);
      pass(1);
      assert.deepEqual(read(one).send, ['one'], `after ${minutes} minutes`);
      attempts.refused(one, 'No.', true);
      assert.deepEqual(read(one), expected[index]);
    }
  });

  it('is tried once with each new worker, and takes no third reload', () => {
    const { attempts, read } = openAttempts();
    attempts.refused(one, 'No.', true);
    assert.deepEqual(read(one), reload);
    for (const expected of [reload, stuck, stuck]) {
      attempts.nextWorker();
      assert.deepEqual(attempts.screen([one]).send, [one]);
      // The new worker may do it: that is not known yet.
      assert.deepEqual([attempts.screen([one]).reload, attempts.screen([one]).stuck], [[], []]);
      attempts.refused(one, 'No.', true);
      assert.deepEqual(read(one), expected);
    }
  });

  it('is forgotten once it is not needed any more, with its backend, or when something else is wanted', () => {
    const { attempts, read } = openAttempts();
    for (const forget of [
      () => read(),
      () => attempts.keepOnly(new Set(['web'])),
      () => read(change('one', { weight: 7 })),
    ]) {
      attempts.refused(one, 'No.', true);
      assert.deepEqual(read(one), reload);
      forget();
      assert.deepEqual(attempts.screen([one]).send, [one]);
    }
  });

  it('does not count as another one because the number of the server is another', () => {
    const { attempts, read } = openAttempts();
    attempts.refused(change('one', { id: 1 }), 'Already used.', true);
    assert.deepEqual(read(change('one', { id: 2 })), reload);
  });

  it('does not hold back changes of other servers or backends', () => {
    const { attempts, read } = openAttempts();
    attempts.refused(one, 'No.', true);
    const [two, other] = [change('two'), change('one', {}, 'web')];
    assert.deepEqual(read(one, two).send, ['two']);
    assert.deepEqual(attempts.screen([other]).send, [other]);
  });
});
