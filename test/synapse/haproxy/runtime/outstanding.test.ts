import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createOutstanding } from '../../../../synapse/haproxy/runtime/bookkeeping.ts';
import { recordingLog } from '../../../support/process/recording-log.ts';

function outstanding() {
  const { log, lines } = recordingLog();
  let changes = 0;
  const it = createOutstanding(log, () => {
    changes += 1;
  });
  const note = (service: string, how: 'add' | 'replace', ...reload: readonly string[]): void =>
    it.note(service, { reload, held: [] }, how);
  return { it, note, lines, changes: () => changes };
}

describe('what plans leave open', () => {
  it('has each reason once, in order, and tells only of news', () => {
    const { it, note, changes } = outstanding();
    note('api', 'add', 'b', 'a', 'b');
    note('api', 'add', 'a');
    note('web', 'add');
    assert.deepEqual([[...it.reasons], changes()], [[['api', ['b', 'a']]], 1]);
    note('api', 'replace', 'b', 'a', 'a');
    assert.equal(changes(), 1);
    note('api', 'replace', 'a', 'b');
    note('api', 'add', 'c');
    assert.deepEqual([it.reasons.get('api'), changes()], [['a', 'b', 'c'], 3]);
    note('api', 'replace');
    note('api', 'replace');
    assert.deepEqual([[...it.reasons], changes()], [[], 4]);
  });

  it('forgets a service that is not there any more, with all that was said of it', () => {
    const { it, note } = outstanding();
    note('api', 'add', 'a');
    it.keepOnly(new Set(['web']));
    assert.equal(it.reasons.size, 0);
    note('api', 'add', 'a');
    assert.deepEqual(it.reasons.get('api'), ['a']);
  });

  it('says once which server was changed by hand', () => {
    const { it, lines } = outstanding();
    const server = { backend: 'api', name: 'x', held: 'drain' } as const;
    for (let i = 0; i < 2; i++) it.note('api', { reload: [], held: [server] }, 'replace');
    assert.deepEqual([it.held, lines.length], [[server], 1]);
  });
});
