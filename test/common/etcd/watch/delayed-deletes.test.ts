import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sleep } from '../../../../common/async/sleep.ts';
import type { Entry } from '../../../../common/etcd/client/key-value.ts';
import { delayDeletes } from '../../../../common/etcd/watch/delayed-deletes.ts';
import type { PrefixChange } from '../../../../common/etcd/watch/prefix-state.ts';
import { eventually } from '../../../support/eventually.ts';

const entry = (key: string, lease = '7'): Entry => ({
  key,
  value: Buffer.from('x'),
  modRevision: '1',
  createRevision: '1',
  lease,
});

/** Records what is passed on, as one word for each key: `+a` put, `-a` deleted. */
function record(hold: number) {
  const told: string[] = [];
  const ended = new AbortController();
  const entries = new Map<string, Entry>();
  const words = ({ changed, reason }: PrefixChange): string =>
    [reason, ...changed.map((item) => `${item.entry === undefined ? '-' : '+'}${item.key}`)].join(' ');
  const take = delayDeletes(
    (change) => told.push(words(change)),
    { mayReturn: (lost) => lost.previous?.lease !== '0', delayMs: hold },
    ended.signal,
  );
  const change = (reason: PrefixChange['reason'], changed: PrefixChange['changed']): void => {
    for (const { key, entry: now } of changed) {
      if (now === undefined) entries.delete(key);
      else entries.set(key, now);
    }
    take({ entries, changed, revision: '1', seenAt: 0, reason });
  };
  const put = (key: string, lease?: string): void => change('watch', [{ key, entry: entry(key, lease) }]);
  const lose = (key: string, lease?: string): void => change('watch', [{ key, previous: entry(key, lease) }]);
  return { told, ended, change, put, lose };
}

describe('delayDeletes', () => {
  it('never passes on a delete when the owner puts the key again in time', async () => {
    const { told, put, lose } = record(100);
    put('a');
    lose('a');
    put('a');
    await sleep(200);
    assert.deepEqual(told, ['watch +a', 'watch +a']);
  });

  it('passes on a delete when its delay is over', async () => {
    const { told, put, lose } = record(50);
    put('a');
    lose('a');
    assert.deepEqual(told, ['watch +a']);
    await eventually(() => assert.deepEqual(told, ['watch +a', 'watch -a']));
  });

  it('passes on at once the delete of a key that cannot return', () => {
    const { told, put, lose } = record(10_000);
    put('a', '0');
    lose('a', '0');
    assert.deepEqual(told, ['watch +a', 'watch -a']);
  });

  it('delays one delete of a change and passes on the rest', () => {
    const { told, ended, change } = record(10_000);
    change('list', [
      { key: 'a', entry: entry('a') },
      { key: 'b', entry: entry('b') },
    ]);
    change('relist', [
      { key: 'a', previous: entry('a') },
      { key: 'c', entry: entry('c') },
    ]);
    assert.deepEqual(told, ['list +a +b', 'watch +c'], 'not as a whole list, which would say that a is gone');
    ended.abort();
  });

  it('passes on an empty first list', () => {
    const { told, change } = record(10_000);
    change('list', []);
    assert.deepEqual(told, ['list']);
  });

  it('passes on nothing more once its signal aborts', async () => {
    const { told, ended, put, lose } = record(20);
    put('a');
    lose('a');
    ended.abort();
    await sleep(60);
    assert.deepEqual(told, ['watch +a']);
  });
});
