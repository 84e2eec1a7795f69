import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { differentPart } from '../../common/compare.ts';

describe('differentPart', () => {
  const cases: readonly [before: string, after: string, part: string, instead: string][] = [
    ['', '', '', ''],
    ['abc', 'abc', '', ''],
    ['abc', 'axc', 'b', 'x'],
    ['ac', 'abc', '', 'b'],
    ['abc', 'ac', 'b', ''],
    ['', 'ab', '', 'ab'],
    ['ab', '', 'ab', ''],
    ['aa', 'aaa', '', 'a'],
    ['abcd', 'dcba', 'abcd', 'dcba'],
    ['abcde', 'abxye', 'cd', 'xy'],
  ];
  for (const [before, after, part, instead] of cases) {
    it(`of '${before}' and '${after}' is '${part}' and '${instead}'`, () => {
      const { start, endBefore, endAfter } = differentPart([...before], [...after]);
      assert.deepEqual([before.slice(start, endBefore), after.slice(start, endAfter)], [part, instead]);
    });
  }
});
