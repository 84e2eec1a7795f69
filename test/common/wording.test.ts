import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { counted, firstOf, formatAge, formatLatency, listed } from '../../common/wording.ts';

describe('the wording of numbers and lists', () => {
  it('puts a noun into the plural unless there is exactly one', () => {
    assert.deepEqual(
      [0, 1, 2].map((count) => counted(count, 'service')),
      ['0 services', '1 service', '2 services'],
    );
  });

  it('names the first few of a list and counts the rest', () => {
    assert.deepEqual(firstOf(['a', 'b', 'c'], 2), ['a', 'b', 'and 1 more']);
    assert.deepEqual(firstOf(['a', 'b'], 2), ['a', 'b']);
    assert.equal(listed(['a', 'b', 'c', 'd', 'e']), 'a, b, c and 2 more');
    assert.equal(listed(['a', 'b', 'c']), 'a, b, c');
    assert.equal(listed([]), '');
  });
});

describe('the wording of times', () => {
  for (const [milliseconds, age] of [
    [-1, '0 s'],
    [119_000, '119 s'],
    [120_000, '2 min'],
    [7_200_000, '2 h'],
    [172_800_000, '2 d'],
  ] as const) {
    it(`gives an age of ${milliseconds} ms in one unit`, () => assert.equal(formatAge(milliseconds), age));
  }

  for (const [milliseconds, latency] of [
    [0.4444, '0.4 ms'],
    [666.6666666666666, '667 ms'],
    [1_549, '1.5 s'],
    [60_000, '60 s'],
  ] as const) {
    it(`gives a latency of ${milliseconds} ms with one decimal at most`, () =>
      assert.equal(formatLatency(milliseconds), latency));
  }
});
