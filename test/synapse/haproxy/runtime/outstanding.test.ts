import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createOutstanding } from '../../../../synapse/haproxy/runtime/bookkeeping.ts';
import { serverReason, textsOf } from '../../../../synapse/haproxy/spec/reload-reason.ts';
import { recordingLog } from '../../../support/process/recording-log.ts';

function outstanding() {
  const { log, lines } = recordingLog();
  let changes = 0;
  const it = createOutstanding(log, () => {
    changes += 1;
  });
  const note = (service: string, how: 'add' | 'replace', ...reload: readonly string[]): void =>
    it.note(service, { reload: reload.map(serverReason), held: [] }, how);
  const reasons = () => [...it.reasons].map(([service, found]) => [service, textsOf(found)]);
  return { it, note, reasons, lines, changes: () => changes };
}

describe('what plans leave open', () => {
  it('has each reason once, in order, and tells only of news', () => {
    const { note, reasons, changes } = outstanding();
    note('api', 'add', 'b', 'a', 'b');
    note('api', 'add', 'a');
    note('web', 'add');
    assert.deepEqual([reasons(), changes()], [[['api', ['b', 'a']]], 1]);
    note('api', 'replace', 'b', 'a', 'a');
    assert.equal(changes(), 1);
    note('api', 'replace', 'a', 'b');
    note('api', 'add', 'c');
    assert.deepEqual([reasons(), changes()], [[['api', ['a', 'b', 'c']]], 3]);
    note('api', 'replace');
    note('api', 'replace');
    assert.deepEqual([reasons(), changes()], [[], 4]);
  });

  it('forgets a service that is not there any more, with all that was said of it', () => {
    const { it, note, reasons } = outstanding();
    note('api', 'add', 'a');
    it.keepOnly(new Set(['web']));
    assert.deepEqual(reasons(), []);
    note('api', 'add', 'a');
    assert.deepEqual(reasons(), [['api', ['a']]]);
  });

  it('says once which server was changed by hand', () => {
    const { it, lines } = outstanding();
    const server = { backend: 'api', name: 'x', held: 'drain' } as const;
    for (let i = 0; i < 2; i++) it.note('api', { reload: [], held: [server] }, 'replace');
    assert.deepEqual([it.held, lines.length], [[server], 1]);
  });
});
