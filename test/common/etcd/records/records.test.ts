import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Entry } from '../../../../common/etcd/client/key-value.ts';
import { Records } from '../../../../common/etcd/records/records.ts';
import type { KeyChange, PrefixChange } from '../../../../common/etcd/watch/prefix-state.ts';
import { parseInstance } from '../../../../common/instance.ts';

/** The keys below a prefix, changed as etcd changes them. */
function registry(lease = '0') {
  const entries = new Map<string, Entry>();
  const told: string[] = [];
  /** The record of each instance that is gone, with its revision. */
  const last: string[] = [];
  let reads = 0;
  let revision = 0;
  const records = new Records(
    (entry) => {
      reads += 1;
      return parseInstance(entry.value);
    },
    {
      onRejected: ({ where }, { modRevision }) => told.push(`rejected ${where}@${modRevision}`),
      onDropped: ({ where, reason }) => told.push(`${where}: ${reason}`),
      onGone: (id, how, { key, modRevision }) => {
        told.push(`${how} ${id}`);
        last.push(`${key}@${modRevision}`);
      },
    },
  );
  const put = (key: string, value: unknown): KeyChange => {
    revision += 1;
    const previous = entries.get(key);
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    const entry: Entry = {
      key,
      value: Buffer.from(text),
      modRevision: String(revision),
      createRevision: previous?.createRevision ?? String(revision),
      lease,
    };
    entries.set(key, entry);
    return { key, entry, ...(previous && { previous }) };
  };
  const remove = (key: string): KeyChange => {
    revision += 1;
    const previous = entries.get(key);
    entries.delete(key);
    return { key, ...(previous && { previous }) };
  };
  const change = (reason: PrefixChange['reason'], ...changed: KeyChange[]): PrefixChange => ({
    entries,
    changed,
    revision: String(revision),
    seenAt: 5,
    reason,
  });
  const apply = (...changed: KeyChange[]) => records.apply(change('watch', ...changed));
  const relist = (...changed: KeyChange[]) => records.apply(change('relist', ...changed));
  return { records, told, last, put, remove, apply, relist, entries, reads: () => reads };
}

const a = { host: '10.0.0.1', port: 80, name: 'a' };
const b = { host: '10.0.0.2', port: 80, name: 'b' };
const ids = (set: { instances: readonly { id: string }[] } | undefined) => set?.instances.map(({ id }) => id);

describe('records', () => {
  it('orders instances by their keys, not by the order of events', () => {
    const { apply, put } = registry();
    assert.deepEqual(ids(apply(put('/s/2', b), put('/s/1', a))), ['a_10.0.0.1:80', 'b_10.0.0.2:80']);
  });

  it('gives each instance the key, the lease and the revisions of its record', () => {
    const { apply, put } = registry();
    const set = apply(put('/s/2', b), put('/s/1', a));
    assert.deepEqual(set?.sequence, [2, 1]);
    const origins = set?.origins.map(({ key, lease, created, modRevision }) => [key, lease, created, modRevision]);
    assert.deepEqual(origins, [
      ['/s/1', '0', 2, '2'],
      ['/s/2', '0', 1, '1'],
    ]);
  });

  it('uses a record of which a field cannot be used without it, and says so once for each version', () => {
    const { apply, put, told } = registry();
    assert.deepEqual(ids(apply(put('/s/1', { ...a, weight: 1000 }))), ['a_10.0.0.1:80']);
    assert.equal(apply(put('/s/1', { ...a, weight: 1000 })), undefined);
    apply(put('/s/1', { ...a, weight: 1001 }));
    assert.deepEqual(
      told.map((text) => text.slice(0, 17)),
      ['/s/1: weight 1000', '/s/1: weight 1001'],
    );
  });

  it('reads a record once for each revision', () => {
    const { apply, put, reads } = registry();
    apply(put('/s/1', a), put('/s/2', b));
    apply(put('/s/2', { ...b, weight: 3 }));
    assert.equal(reads(), 3);
  });

  it('publishes nothing when a record says the same as before, and keeps its object', () => {
    const { apply, put, records } = registry();
    const before = apply(put('/s/1', a))?.instances[0];
    assert.equal(apply(put('/s/1', { ...a, state: 'up', extra: 1 })), undefined);
    assert.equal(records.set().instances[0], before);
  });

  it('keeps the objects of unchanged records when another one changes', () => {
    const { apply, put } = registry();
    const before = apply(put('/s/1', a), put('/s/2', b))?.instances[0];
    assert.equal(apply(put('/s/2', { ...b, weight: 3 }))?.instances[0], before);
  });

  it('reports a record that said down before its delete as withdrawn', () => {
    const { apply, put, remove, told } = registry();
    apply(put('/s/1', a));
    apply(put('/s/1', { ...a, state: 'down' }));
    assert.deepEqual([...(apply(remove('/s/1'))?.withdrawn ?? [])], [['a_10.0.0.1:80', '/s/1']]);
    assert.deepEqual(told, ['withdrawn a_10.0.0.1:80']);
  });

  it('reports a record as withdrawn as soon as it says down, and not again when it vanishes', () => {
    const { apply, put, remove, told, last } = registry();
    apply(put('/s/1', a));
    apply(put('/s/1', { ...a, state: 'down' }));
    assert.deepEqual(told, ['withdrawn a_10.0.0.1:80']);
    assert.deepEqual(last, ['/s/1@2']);
    apply(put('/s/1', { ...a, state: 'down', weight: 3 }), remove('/s/1'));
    assert.deepEqual(told, ['withdrawn a_10.0.0.1:80']);
  });

  it('does not report an instance as withdrawn while another record announces it', () => {
    const { apply, put, told } = registry();
    apply(put('/s/1', a), put('/s/2', a));
    apply(put('/s/1', { ...a, state: 'down' }));
    assert.deepEqual(told, []);
  });

  it('reports a record as withdrawn that said down and was deleted in one change', () => {
    const { apply, put, remove, told } = registry();
    apply(put('/s/1', a));
    const set = apply(put('/s/1', { ...a, state: 'down' }), remove('/s/1'));
    assert.deepEqual(ids(set), []);
    assert.deepEqual(told, ['withdrawn a_10.0.0.1:80']);
  });

  it('reports a record as withdrawn that said down and was overwritten by another program in one change', () => {
    for (const [what, next] of [
      ['something else', 'not json'],
      ['another instance', { ...b, weight: 2 }],
    ] as const) {
      const { apply, put, remove, told } = registry('7');
      apply(put('/s/1', a));
      const set = apply(put('/s/1', { ...a, state: 'down' }), put('/s/1', next), remove('/s/1'));
      assert.deepEqual(set?.withdrawn.get('a_10.0.0.1:80'), '/s/1', what);
      assert.equal(told[0], 'withdrawn a_10.0.0.1:80', what);
    }
  });

  it('reports a record that is gone together with its lease as expired, with that lease', () => {
    const { apply, put, remove, told } = registry('7');
    assert.deepEqual(apply(put('/s/1', a))?.leases, ['7']);
    const set = apply({ ...remove('/s/1'), how: 'lost' });
    assert.deepEqual([...(set?.withdrawn ?? [])], []);
    assert.deepEqual([...(set?.lost ?? [])], [['a_10.0.0.1:80', '7']]);
    assert.deepEqual(told, ['expired a_10.0.0.1:80']);
  });

  it('reports a record that was under no lease, or whose lease lives, as withdrawn', () => {
    for (const [lease, how] of [
      ['0', undefined],
      ['7', 'withdrawn'],
    ] as const) {
      const { apply, put, remove, told } = registry(lease);
      apply(put('/s/1', a));
      const set = apply({ ...remove('/s/1'), ...(how && { how }) });
      assert.deepEqual([...(set?.withdrawn ?? [])], [['a_10.0.0.1:80', '/s/1']]);
      assert.deepEqual(told, ['withdrawn a_10.0.0.1:80']);
    }
  });

  it('removes records that are missing from a whole list', () => {
    const { apply, put, entries, relist } = registry();
    apply(put('/s/1', a), put('/s/2', b));
    entries.delete('/s/1');
    assert.deepEqual(ids(relist()), ['b_10.0.0.2:80']);
  });

  it('skips a record that cannot be used, reports it once for each revision, and keeps the others', () => {
    const { apply, put, remove, told, relist } = registry();
    const bad = put('/s/bad', 'not json');
    const set = apply(bad, put('/s/1', a));
    assert.deepEqual(ids(set), ['a_10.0.0.1:80']);
    assert.equal(set?.rejected.length, 1);
    assert.equal(set?.rejected[0]?.where, '/s/bad');
    relist(bad);
    apply(put('/s/bad', 'still not json'));
    assert.deepEqual(told, ['rejected /s/bad@1', 'rejected /s/bad@3']);
    assert.deepEqual(apply(remove('/s/bad'))?.rejected, []);
  });

  it('names a rejected record in text that is safe for a terminal', () => {
    const { apply, put } = registry();
    const control = apply(put('/s/\u001b[2J\n"x', ''))?.rejected[0]?.where;
    assert.equal(control, '/s/\\u001b[2J\\n\\"x');
    const long = apply(put(`/s/${'x'.repeat(100_000)}`, ''))?.rejected.at(-1)?.where;
    assert.equal(long?.length, 257);
  });

  it('removes the instance of a record that can no longer be used', () => {
    const { apply, put } = registry();
    apply(put('/s/1', a), put('/s/2', b));
    assert.deepEqual(ids(apply(put('/s/1', '{'))), ['b_10.0.0.2:80']);
    assert.deepEqual(ids(apply(put('/s/1', a))), ['a_10.0.0.1:80', 'b_10.0.0.2:80']);
  });

  const deep: readonly (readonly [title: string, above: object, below: object, winner: string])[] = [
    ['uses its own key rather than a deeper one that says otherwise', { ...a, state: 'drain' }, a, '/s/z'],
    ['uses its own key that says down rather than a deeper one that is up', { ...a, state: 'down' }, a, '/s/z'],
  ];
  for (const [title, above, below, winner] of deep) {
    it(`${title}, whichever came first`, () => {
      for (const reversed of [false, true]) {
        const { apply, put } = registry();
        const changes = [put('/s/z', above), put('/s/a/z', below)];
        const set = apply(...(reversed ? changes.reverse() : changes));
        const loser = winner === '/s/z' ? '/s/a/z' : '/s/z';
        assert.deepEqual(
          set?.rejected.map(({ where }) => where),
          [loser],
        );
      }
    });
  }

  const contests: readonly [title: string, first: object, second: object, winner: string][] = [
    ['uses the one that is up', { ...a, state: 'drain' }, a, '/s/2'],
    ['prefers draining to down', { ...a, state: 'down' }, { ...a, state: 'drain' }, '/s/2'],
    ['uses the smallest key when both have the same state', { ...a, weight: 1 }, { ...a, weight: 2 }, '/s/1'],
  ];
  for (const [title, first, second, winner] of contests) {
    for (const reversed of [false, true]) {
      it(`${title}, of two records of one instance${reversed ? ' in reverse order' : ''}`, () => {
        const { apply, put, remove } = registry();
        const changes = [put('/s/1', first), put('/s/2', second)];
        const set = apply(...(reversed ? changes.reverse() : changes));
        const loser = winner === '/s/1' ? '/s/2' : '/s/1';
        assert.equal(set?.instances.length, 1);
        assert.deepEqual(
          set?.rejected.map(({ where }) => where),
          [loser],
        );
        const after = apply(remove(winner));
        assert.equal(after?.instances.length, 1);
        assert.deepEqual(after?.rejected, []);
      });
    }
  }

  it('keeps two records that name different instances', () => {
    const { apply, put } = registry();
    assert.equal(apply(put('/s/1', a), put('/s/2', { ...a, port: 81 }))?.instances.length, 2);
  });

  it('makes the reason of a record that is not used once, and not for each set', () => {
    const { put, apply } = registry();
    const one = { host: '10.0.0.1', port: 80, name: 'one' };
    apply(put('/s/a', one), put('/s/b', 'no JSON'), put('/s/c', '{}'), put('/s/d/e', one));
    const sets = [1, 2].map((weight) => apply(put('/s/x', { host: '10.0.0.2', port: 80, weight }))?.rejected ?? []);
    assert.deepEqual(
      sets.map((rejected) => rejected.map(({ where }) => where)),
      [
        ['/s/b', '/s/c', '/s/d/e'],
        ['/s/b', '/s/c', '/s/d/e'],
      ],
    );
    for (const [index, rejected] of (sets[0] ?? []).entries()) assert.equal(sets[1]?.[index], rejected);
  });
});
