import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DirtyBackends, OpenIssues, RetryCounts } from '../../../../synapse/haproxy/runtime/bookkeeping.ts';
import type { ServerChange } from '../../../../synapse/haproxy/runtime/plan.ts';
import { serverReason, textsOf } from '../../../../synapse/haproxy/spec/reload-reason.ts';
import { recordingLog } from '../../../support/process/recording-log.ts';

const change = (name: string, backend = 'api'): ServerChange =>
  ({ backend, name, action: 'add' }) as Partial<ServerChange> as ServerChange;

describe('RetryCounts', () => {
  it('sends a change without effect twice and then asks for a reload', () => {
    const retries = new RetryCounts();
    const one = change('one');
    assert.deepEqual(retries.sort('api', [one]), { retry: [one], reload: [] });
    assert.deepEqual(retries.sort('api', [one]), { retry: [one], reload: [] });
    const reload = [serverReason('HAProxy does not add api/one at run time')];
    assert.deepEqual(retries.sort('api', [one]), { retry: [], reload });
  });

  it('does not send a finally refused change again, and quotes the refusal', () => {
    const retries = new RetryCounts();
    const [one, two] = [change('one'), change('two')];
    retries.refused(one, 'No such thing.', true);
    retries.refused(two, 'Busy.', false);
    const reload = [serverReason('HAProxy does not add api/one at run time: No such thing.')];
    assert.deepEqual(retries.sort('api', [one, two]), { retry: [two], reload });
  });

  it('gives up a change that HAProxy refuses each time it is tried', () => {
    const retries = new RetryCounts();
    const one = change('one');
    let sent = 0;
    for (; sent < 10 && retries.sort('api', [one]).retry.length > 0; sent += 1) retries.refused(one, 'Busy.', false);
    assert.ok(sent <= 3, `sent ${sent} times`);
  });

  it('forgets a refusal when the change was done after all, and keeps those of other backends', () => {
    const retries = new RetryCounts();
    const [one, other] = [change('one'), change('one', 'api.b')];
    retries.refused(one, 'Busy.', true);
    retries.refused(other, 'Busy.', true);
    retries.sort('api', []);
    assert.deepEqual(retries.sort('api', [one]).retry, [one]);
    assert.deepEqual(retries.sort('api.b', [other]).retry, []);
    retries.clear();
    assert.deepEqual(retries.sort('api.b', [other]).retry, [other]);
  });
});

describe('OpenIssues', () => {
  const open = () => {
    const { log, lines } = recordingLog();
    let changes = 0;
    const issues = new OpenIssues(log, () => {
      changes += 1;
    });
    const add = (service: string, ...texts: readonly string[]): void => issues.add(service, texts.map(serverReason));
    const replace = (service: string, ...texts: readonly string[]): void =>
      issues.replace(service, { reload: texts.map(serverReason), held: [] });
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
    issues.keepOnly(new Set(['web']));
    assert.deepEqual(reasons(), []);
    add('api', 'a');
    assert.deepEqual(reasons(), [['api', ['a']]]);
  });

  it('logs once that a server was changed by hand', () => {
    const { issues, lines } = open();
    const server = { backend: 'api', name: 'x', held: 'drain' } as const;
    for (let i = 0; i < 2; i++) issues.replace('api', { reload: [], held: [server] });
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
