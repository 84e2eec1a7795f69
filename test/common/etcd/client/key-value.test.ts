import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { keyBytes, keyText, prefixRange } from '../../../../common/etcd/client/key-value.ts';

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

describe('a key as text', () => {
  const keys: readonly [hex: string, text: string][] = [
    ['2f612fc3bf', '/a/\u00ff'],
    ['2f61efbfbd', '/a\ufffd'],
    ['2f61ff', '/a\udcff'],
    ['2f6180fe', '/a\udc80\udcfe'],
    // Half a character, and UTF-8 of a surrogate: neither is UTF-8.
    ['2f61c3', '/a\udcc3'],
    ['edb3bf', '\udced\udcb3\udcbf'],
    ['f09f9880', '\u{1f600}'],
  ];
  for (const [hex, text] of keys) {
    it(`is ${JSON.stringify(text)} for the bytes ${hex}, which can be had from it again`, () => {
      assert.equal(keyText(Buffer.from(hex, 'hex')), text);
      assert.equal(keyBytes(text).toString('hex'), hex);
    });
  }
});
