import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { keepNewest } from '../../common/keep-newest.ts';

describe('a map that keeps the newest entries', () => {
  const put = (keys: string, most: number): string => {
    const map = new Map<string, number>();
    for (const [index, key] of [...keys].entries()) keepNewest(map, key, { value: index, most });
    return [...map].map(([key, value]) => `${key}${value}`).join(' ');
  };
  const cases: readonly [sentence: string, keys: string, most: number, left: string][] = [
    ['holds all entries while there is room', 'abc', 3, 'a0 b1 c2'],
    ['drops the oldest', 'abcd', 3, 'b1 c2 d3'],
    ['moves a key that is put again to the end', 'abcad', 3, 'c2 a3 d4'],
  ];
  for (const [sentence, keys, most, left] of cases) it(sentence, () => assert.equal(put(keys, most), left));
});
