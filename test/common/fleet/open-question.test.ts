import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MemberChange } from '../../../common/fleet/ask-state.ts';
import { fleetKeys } from '../../../common/fleet/keys.ts';
import { type Look, OpenQuestion } from '../../../common/fleet/open-question.ts';
import { type AckRecord, formatAck, formatProxy, parseRequest } from '../../../common/fleet/records.ts';
import { ackOf } from '../../support/etcd/fleet.ts';

const keys = fleetKeys('/smartstack/fleet');
const path = '/nerve/services/api';
const key = `${path}/i-1_10.0.0.5:80`;
const signal = new AbortController().signal;

const entry = (value: string) => ({ value: Buffer.from(value), lease: '7' });
const proxy: MemberChange = {
  id: 'a',
  entry: entry(
    formatProxy({
      host: 'a',
      version: '2',
      session: 'session',
      startedAt: '2026-11-28T04:00:00.000Z',
      paths: [path],
      haproxyProcesses: 1,
    }),
  ),
};

/** A question that was asked at revision 100. */
function asked() {
  const question = new OpenQuestion({ kind: 'instance', path, key, expect: 'drained' });
  const { id, value } = question.prepare(keys, { by: 'a test', recordRevision: '100', revision: 105 }, signal);
  question.asked();
  const request = parseRequest(value);
  const ack = (change: Partial<AckRecord> = {}): MemberChange => ({
    id: 'a',
    entry: entry(formatAck(ackOf('session', request, change))),
  });
  const look = (change: Partial<Look> = {}): Look => ({
    id,
    proxies: [proxy],
    acks: [ack()],
    recordRevision: '100',
    ...change,
  });
  const hears = (...changes: readonly MemberChange[]): void =>
    question.apply({ kind: 'acks', request: id, changes, whole: false });
  return { question, ack, look, hears };
}

describe('a question that is open', () => {
  it('is done when proxies, acknowledgements and the record at one revision say so', () => {
    const { question, look } = asked();
    question.endLook(question.beginLook(0), look());
    assert.equal(question.progress.outcome, 'done');
  });

  it('is not done by what the watch says alone', () => {
    const { question, ack, hears } = asked();
    question.apply({ kind: 'proxies', changes: [proxy], whole: false });
    hears(ack());
    assert.equal(question.progress.outcome, 'waiting');
    assert.equal(question.isLookDue(Number.MAX_SAFE_INTEGER), true);
  });

  it('goes on when the watch has shown a correction while the answers were read', () => {
    const { question, ack, look, hears } = asked();
    question.apply({ kind: 'proxies', changes: [proxy], whole: false });
    const before = question.beginLook(0);
    hears(ack({ result: 'cannot', reason: 'set ready by hand' }));
    question.endLook(before, look());
    assert.equal(question.progress.outcome, 'waiting');
    assert.match(String(question.progress.reason), /set ready by hand/);
  });

  it('goes on when the watch has shown another proxy while the answers were read', () => {
    const { question, look } = asked();
    const before = question.beginLook(0);
    question.apply({ kind: 'proxies', changes: [{ ...proxy, id: 'b' }], whole: false });
    question.endLook(before, look());
    assert.equal(question.progress.outcome, 'waiting');
  });

  it('is done when newer news agree with what was read', () => {
    const { question, ack, look, hears } = asked();
    question.apply({ kind: 'proxies', changes: [proxy], whole: false });
    const before = question.beginLook(0);
    hears(ack({ revision: 101 }));
    question.endLook(before, look());
    assert.equal(question.progress.outcome, 'done');
  });

  const changed: readonly (readonly [title: string, recordRevision: string | null])[] = [
    ['has changed', '101'],
    ['is gone', null],
  ];
  for (const [title, recordRevision] of changed) {
    it(`is to be asked again when the record ${title}`, () => {
      const { question, look } = asked();
      question.endLook(question.beginLook(0), look({ recordRevision }));
      assert.deepEqual([question.progress.outcome, question.isToBeAsked], ['waiting', true]);
    });
  }

  it('ignores answers that were read before it was asked again', () => {
    const { question, look } = asked();
    const before = question.beginLook(0);
    const old = look();
    question.prepare(keys, { by: 'a test', recordRevision: '100', revision: 106 }, signal);
    question.asked();
    question.endLook(before, old);
    assert.equal(question.progress.outcome, 'waiting');
  });

  it('ignores answers that were read before it was known that its request is lost', () => {
    const { question, look } = asked();
    const before = question.beginLook(0);
    question.askAgain();
    question.endLook(before, look());
    assert.equal(question.progress.outcome, 'waiting');
  });

  it('stays as it ended', () => {
    const { question, ack, look, hears } = asked();
    question.endLook(question.beginLook(0), look());
    hears(ack({ result: 'cannot' }));
    question.end('timeout');
    assert.deepEqual([question.progress.outcome, question.progress.acknowledged], ['done', 1]);
  });
});
