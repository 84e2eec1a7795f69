import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { prefixRange } from '../../../../common/etcd/client/key-value.ts';

const table: readonly [prefix: string, key: string, end: string][] = [
  ['/a/', '2f612f', '2f6130'],
  ['a', '61', '62'],
  ['', '00', '00'],
  ['aÿ', '61c3bf', '61c3c0'],
];
describe('a prefix range', () => {
  for (const [prefix, key, end] of table) {
    it(`covers every key that starts with ${JSON.stringify(prefix)}`, () => {
      const range = prefixRange(prefix);
      assert.deepEqual([range.key.toString('hex'), range.end.toString('hex')], [key, end]);
    });
  }
});
