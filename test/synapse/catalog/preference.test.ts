import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Instance, type InstanceFields, makeInstance } from '../../../common/instance.ts';
import { type Preference, preferLocal } from '../../../synapse/catalog/preference.ts';

const make = (host: string, az: string, more: Partial<InstanceFields> = {}): Instance =>
  makeInstance({ host, port: 1, labels: { az }, ...more });
const prefer: Preference = { label: 'az', value: 'a', others: 'backup', weight: 0.1, minimum: 0.25 };

const a1 = make('a1', 'a');
const a2 = make('a2', 'a', { weight: 10 });
const b1 = make('b1', 'b');
const b2 = make('b2', 'b', { weight: 10 });
const unlabelled = makeInstance({ host: 'none', port: 1 });

const cases: readonly [title: string, instances: readonly Instance[], options: Partial<Preference>, expect: string][] =
  [
    ['the others are backups', [a1, b1, unlabelled], {}, 'a1 b1:backup none:backup'],
    ['the others keep a share of their weight', [a1, a2, b1, b2], { others: 'weight' }, 'a1:100 a2:10 b1:10 b2:1'],
    ['a weight does not fall to 0', [a1, make('b', 'b', { weight: 2 })], { others: 'weight' }, 'a1:100 b:1'],
    ['a weight of 0 stays', [a1, make('b', 'b', { weight: 0 })], { others: 'weight' }, 'a1:100 b:0'],
    ['all alike without a local one', [b1, b2], {}, 'b1 b2:10'],
    ['all alike when all are local', [a1, a2], { others: 'weight' }, 'a1 a2:10'],
    ['local ones at the minimum come first', [a1, b1, b2, unlabelled], {}, 'a1 b1:backup b2:10:backup none:backup'],
    ['below the minimum all are used alike', [a1, b1, b2, unlabelled], { minimum: 0.26 }, 'a1 b1 b2:10 none'],
    ['a local one that drains does not count', [make('a', 'a', { state: 'drain' }), b1], {}, 'a b1'],
    ['a local backup does not count, and stays one', [make('a', 'a', { backup: true }), b1], {}, 'a:backup b1'],
    ['backups of other zones stay backups', [a1, make('b', 'b', { backup: true })], {}, 'a1 b:backup'],
  ];

describe('zone preference', () => {
  for (const [title, instances, options, expect] of cases) {
    it(title, () => {
      const result = preferLocal(instances, { ...prefer, ...options });
      assert.equal(
        result
          .map(({ host, weight, backup }) =>
            [host, ...(weight === undefined ? [] : [weight]), ...(backup ? ['backup'] : [])].join(':'),
          )
          .join(' '),
        expect,
      );
    });
  }

  it('keeps equal instances the same objects', () => {
    const [first] = preferLocal([b1, a1], prefer);
    assert.equal(preferLocal([b1, a1, a2], prefer)[0], first);
  });
});
