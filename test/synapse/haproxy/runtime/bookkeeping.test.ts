import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DirtyBackends, OpenIssues } from '../../../../synapse/haproxy/runtime/bookkeeping.ts';
import { serverReason, textsOf } from '../../../../synapse/haproxy/spec/reload-reason.ts';
import { recordingLog } from '../../../support/process/recording-log.ts';

describe('OpenIssues', () => {
  const open = () => {
    const { log, lines } = recordingLog();
    let changes = 0;
    const issues = new OpenIssues(log, () => {
      changes += 1;
    });
    const add = (service: string, ...texts: readonly string[]): void =>
      issues.add(
        service,
        texts.map((text) => serverReason(text)),
      );
    const replace = (service: string, ...texts: readonly string[]): void =>
      issues.replace(service, { reload: texts.map((text) => serverReason(text)), held: [], stuck: [] });
    const reasons = () => [...issues.reloadReasons].map(([service, found]) => [service, textsOf(found)]);
    return { issues, add, replace, reasons, lines, changes: () => changes };
  };

  it('has each reason once, in order, and reports only differences', () => {
    const { add, replace, reasons, changes } = open();
    add('api', 'b', 'a', 'b');
    add('api', 'a');
    add('web');
    assert.deepEqual([reasons(), changes()], [[['api', ['b', 'a']]], 1]);
    replace('api', 'b', 'a', 'a');
    assert.equal(changes(), 1);
    replace('api', 'a', 'b');
    add('api', 'c');
    assert.deepEqual([reasons(), changes()], [[['api', ['a', 'b', 'c']]], 3]);
    replace('api');
    replace('api');
    assert.deepEqual([reasons(), changes()], [[], 4]);
  });

  it('forgets everything about a service that is gone', () => {
    const { issues, add, reasons } = open();
    add('api', 'a');
    const stuck = [{ backend: 'api', name: 'x', reason: 'no' }];
    issues.replace('api', { reload: [], held: [], stuck });
    assert.deepEqual(issues.stuck, stuck);
    issues.keepOnly(new Set(['web']));
    assert.deepEqual([reasons(), issues.stuck], [[], []]);
    add('api', 'a');
    assert.deepEqual(reasons(), [['api', ['a']]]);
  });

  it('logs once that a server was changed by hand', () => {
    const { issues, lines } = open();
    const server = { backend: 'api', name: 'x', held: 'drain', undo: '' } as const;
    for (let i = 0; i < 2; i++) issues.replace('api', { reload: [], held: [server], stuck: [] });
    assert.deepEqual([issues.held, lines.length], [[server], 1]);
  });
});

describe('DirtyBackends', () => {
  it('has to be read until it was, and a reading is stale once more commands were sent', () => {
    const dirty = new DirtyBackends();
    dirty.mark('api');
    const before = dirty.moment();
    dirty.mark('web');
    assert.deepEqual([before.isStale('api'), before.isStale('web')], [false, true]);
    dirty.markRead('api');
    assert.deepEqual([...dirty.unread], ['web']);
    assert.equal(dirty.moment().isStale('web'), false);
  });
});
