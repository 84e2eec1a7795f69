import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Instance, makeInstance } from '../../../common/instance.ts';
import { changesBetween } from '../../../synapse/catalog/changes.ts';

const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((host) => makeInstance({ host, port: 1 })) as [
  Instance,
  Instance,
  Instance,
  Instance,
];
const heavyB = makeInstance({ host: 'b', port: 1, weight: 9 });

const cases: readonly [title: string, before: Instance[], after: Instance[], expected: string][] = [
  ['nothing', [a, b], [a, b], ''],
  ['nothing when only the order differs', [a, b, c], [c, a, b], ''],
  ['everything at first', [], [a, b], '+a:1 +b:1'],
  ['everything at last', [a, b], [], '-a:1 -b:1'],
  ['one more in the middle', [a, c], [a, b, c], '+b:1'],
  ['one less at the end', [a, b], [a], '-b:1'],
  ['one less of equal neighbours', [a, b, c], [b, c], '-a:1'],
  ['another in its place', [a, b, c], [a, d, c], '+d:1 -b:1'],
  ['other fields', [a, b, c], [a, heavyB, c], '~b:1'],
  ['all of it at once', [a, b, c], [heavyB, d], '+d:1 -a:1 -c:1 ~b:1'],
];

describe('changesBetween finds', () => {
  for (const [title, before, after, expected] of cases) {
    it(title, () => {
      const { added, removed, changed } = changesBetween(before, after);
      const found = [
        ...added.map((id) => `+${id}`),
        ...removed.map((id) => `-${id}`),
        ...changed.map((id) => `~${id}`),
      ];
      assert.equal(found.join(' '), expected);
    });
  }
});
