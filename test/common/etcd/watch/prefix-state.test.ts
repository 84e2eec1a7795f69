import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { IEvent, IKeyValue } from 'etcd3/lib/rpc.js';
import { toEntry } from '../../../../common/etcd/client/key-value.ts';
import type { Listing } from '../../../../common/etcd/watch/list.ts';
import { OutOfOrder, type PrefixChange, PrefixState } from '../../../../common/etcd/watch/prefix-state.ts';

const kv = (key: string, revision: number, value = ''): IKeyValue => ({
  key: Buffer.from(key),
  value: Buffer.from(value || `${key}@${revision}`),
  create_revision: '1',
  mod_revision: String(revision),
  version: '1',
  lease: '0',
});
const put = (key: string, revision: number): IEvent => ({ type: 'Put', kv: kv(key, revision), prev_kv: kv('', 0) });
const del = (key: string, revision: number): IEvent => ({ type: 'Delete', kv: kv(key, revision), prev_kv: kv('', 0) });
const listing = (revision: number, ...keys: readonly [key: string, revision: number][]): Listing => ({
  clusterId: '1',
  revision,
  term: '2',
  entries: new Map(keys.map(([key, at]) => [key, toEntry(kv(key, at))])),
});

/** A prefix `/a/`, and what its handler was called with: `reason key@revision …`, `-key` for a deleted key. */
const follow = (fails: (change: PrefixChange) => boolean = () => false) => {
  const told: string[] = [];
  const followed = new PrefixState('/a/', (change) => {
    const keys = change.changed.map(({ key, entry }) => entry?.value.toString() ?? `-${key}`);
    told.push([change.reason, ...keys].join(' '));
    if (fails(change)) throw new Error('bug');
  });
  const list = (result: Listing, reset = false, meanwhile: readonly IEvent[] = []): number => {
    const journal = followed.beginList();
    if (meanwhile.length > 0) followed.applyEvents(meanwhile, 0);
    try {
      return followed.applyList(result, journal, { reset, seenAt: 0 });
    } finally {
      followed.endList(journal);
    }
  };
  return { followed, told, list };
};

describe('the state of a prefix', () => {
  it('passes on the first list even when it is empty, and later ones only when they differ', () => {
    const { told, list } = follow();
    list(listing(5));
    list(listing(6));
    list(listing(7, ['/a/x', 7]));
    assert.deepEqual(told, ['list', 'relist /a/x@7']);
  });

  it('drops repeated events, and events from before its list', () => {
    const { followed, told, list } = follow();
    list(listing(5, ['/a/x', 5]));
    followed.applyEvents([put('/a/x', 5), put('/a/y', 6)], 0);
    assert.equal(followed.resume(), 6);
    followed.applyEvents([put('/a/y', 6), del('/a/y', 7)], 0);
    assert.deepEqual(told, ['list /a/x@5', 'watch /a/y@6', 'watch -/a/y']);
    assert.equal(followed.nextRevision, 8);
  });

  it('refuses events that are older than others of the same watch', () => {
    const { followed, told, list } = follow();
    list(listing(5));
    followed.resume();
    followed.applyEvents([put('/a/y', 8)], 0);
    assert.throws(() => followed.applyEvents([put('/a/x', 7)], 0), OutOfOrder);
    assert.deepEqual(told, ['list', 'watch /a/y@8']);
  });

  it('passes on all keys again after a response that went back in time half-way', () => {
    const { followed, told, list } = follow();
    list(listing(5));
    followed.resume();
    followed.applyEvents([put('/a/x', 8)], 0);
    assert.throws(() => followed.applyEvents([put('/a/y', 9), put('/a/z', 7)], 0), OutOfOrder);
    list(listing(9, ['/a/x', 8], ['/a/y', 9]));
    assert.deepEqual(told, ['list', 'watch /a/x@8', 'relist /a/x@8 /a/y@9']);
  });

  it('applies all events of one transaction', () => {
    const { followed, told, list } = follow();
    list(listing(5));
    followed.applyEvents([put('/a/x', 6), put('/a/y', 6)], 0);
    assert.deepEqual(told, ['list', 'watch /a/x@6 /a/y@6']);
  });

  it('ignores keys outside the prefix, which some releases send', () => {
    const { followed, told, list } = follow();
    list(listing(5));
    followed.applyEvents([put('/b/secret', 6)], 0);
    assert.deepEqual(told, ['list']);
    assert.equal(followed.nextRevision, 7);
  });

  it('keeps the changes of events that are newer than a list that was under way', () => {
    const { told, list } = follow();
    list(listing(5, ['/a/x', 3], ['/a/y', 4]));
    list(listing(6, ['/a/x', 3], ['/a/y', 4]), false, [del('/a/x', 7), put('/a/z', 8)]);
    assert.deepEqual(told, ['list /a/x@3 /a/y@4', 'watch -/a/x /a/z@8']);
  });

  it('passes on once what the watch had lost', () => {
    const { followed, told, list } = follow();
    list(listing(5, ['/a/x', 5]));
    assert.equal(list(listing(9, ['/a/y', 8])), 2);
    followed.applyEvents([del('/a/x', 7), put('/a/y', 8)], 0);
    assert.deepEqual(told, ['list /a/x@5', 'relist -/a/x /a/y@8']);
  });

  it('ignores a list that is older than the last one', () => {
    const { told, list } = follow();
    list(listing(9, ['/a/x', 9]));
    assert.equal(list(listing(7)), 0);
    assert.deepEqual(told, ['list /a/x@9']);
  });

  it('starts again at a lower revision when the cluster is another one', () => {
    const { followed, told, list } = follow();
    list(listing(500, ['/a/x', 300]));
    list(listing(3, ['/a/y', 2]), true);
    followed.applyEvents([put('/a/z', 4)], 0);
    assert.deepEqual(told, ['list /a/x@300', 'relist -/a/x /a/y@2', 'watch /a/z@4']);
  });

  it('passes on all keys again to a handler that threw', () => {
    let bugs = 1;
    const { followed, told, list } = follow(({ reason }) => reason === 'watch' && bugs-- > 0);
    list(listing(5, ['/a/x', 5]));
    assert.throws(() => followed.applyEvents([put('/a/y', 6)], 0), /bug/);
    assert.ok(followed.owed);
    list(listing(6, ['/a/x', 5], ['/a/y', 6]));
    assert.ok(!followed.owed);
    assert.deepEqual(told, ['list /a/x@5', 'watch /a/y@6', 'relist /a/x@5 /a/y@6']);
  });
});
