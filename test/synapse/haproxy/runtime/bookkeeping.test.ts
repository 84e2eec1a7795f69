import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createAttempts } from '../../../../synapse/haproxy/runtime/bookkeeping.ts';
import type { ServerChange } from '../../../../synapse/haproxy/runtime/plan.ts';
import { serverReason } from '../../../../synapse/haproxy/spec/reload-reason.ts';

const change = (name: string, backend = 'api'): ServerChange =>
  ({ backend, name, action: 'add' }) as Partial<ServerChange> as ServerChange;

describe('what HAProxy does not do', () => {
  it('is tried twice, and then needs a reload', () => {
    const attempts = createAttempts();
    const one = change('one');
    assert.deepEqual(attempts.sort('api', [one]), { again: [one], given: [] });
    assert.deepEqual(attempts.sort('api', [one]), { again: [one], given: [] });
    const given = [serverReason('HAProxy does not add api/one at run time')];
    assert.deepEqual(attempts.sort('api', [one]), { again: [], given });
  });

  it('is not tried again when that would change nothing, and says what HAProxy said', () => {
    const attempts = createAttempts();
    const [one, two] = [change('one'), change('two')];
    attempts.failed(one, 'No such thing.', true);
    attempts.failed(two, 'Busy.', false);
    const given = [serverReason('HAProxy does not add api/one at run time: No such thing.')];
    assert.deepEqual(attempts.sort('api', [one, two]), { again: [two], given });
  });

  it('is forgotten when it was done after all, without a word on other backends', () => {
    const attempts = createAttempts();
    const [one, other] = [change('one'), change('one', 'api.b')];
    attempts.failed(one, 'Busy.', true);
    attempts.failed(other, 'Busy.', true);
    attempts.sort('api', []);
    assert.deepEqual(attempts.sort('api', [one]).again, [one]);
    assert.deepEqual(attempts.sort('api.b', [other]).again, []);
    attempts.forget();
    assert.deepEqual(attempts.sort('api.b', [other]).again, [other]);
  });
});
