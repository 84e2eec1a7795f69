import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ageOf,
  counted,
  firstOf,
  formatAge,
  formatDuration,
  formatLatency,
  listed,
  quote,
} from '../../common/wording.ts';

describe('the wording of numbers and lists', () => {
  it('puts a noun into the plural unless there is exactly one', () => {
    assert.deepEqual(
      [0, 1, 2].map((count) => counted(count, 'service')),
      ['0 services', '1 service', '2 services'],
    );
    assert.equal(counted(2, 'entry', 'entries'), '2 entries');
  });

  it('names the first few of a list and counts the rest', () => {
    assert.deepEqual(firstOf(['a', 'b', 'c'], 2), ['a', 'b', 'and 1 more']);
    assert.deepEqual(firstOf(['a', 'b'], 2), ['a', 'b']);
    assert.equal(listed(['a', 'b', 'c', 'd', 'e']), 'a, b, c and 2 more');
    assert.equal(listed(['a', 'b', 'c']), 'a, b, c');
    assert.equal(listed([]), '');
  });

  it('counts the rest of a list of which it has only the first few', () => {
    assert.equal(listed(['a', 'b', 'c'], 2, 100), 'a, b and 98 more');
    assert.equal(listed(['a', 'b'], 5, 100), 'a, b and 98 more');
    assert.equal(listed(['a', 'b'], 5, 2), 'a, b');
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
    [1_549.5, '1550 ms'],
    [60_000, '60 s'],
  ] as const) {
    it(`gives a latency of ${milliseconds} ms with one decimal at most`, () =>
      assert.equal(formatLatency(milliseconds), latency));
  }

  it('gives the age of a moment, and nothing where there was none', () => {
    assert.equal(ageOf('2026-11-27T10:00:00.000Z', Date.parse('2026-11-27T10:00:12.000Z')), '12 s');
    assert.equal(ageOf(null, 0), '');
  });

  for (const [milliseconds, duration] of [
    [0, '0ms'],
    [500, '500ms'],
    [2000, '2s'],
    [90_000, '90s'],
    [60_000, '1m'],
    [86_400_000, '1d'],
    [1234.567890123, '1235ms'],
  ] as const) {
    it(`gives a duration of ${milliseconds} ms as the configuration writes it`, () =>
      assert.equal(formatDuration(milliseconds), duration));
  }
});

describe('a value in a message', () => {
  it('is one line of at most 80 characters', () => {
    assert.equal(quote('a\nb'), '"a\\nb"');
    assert.equal(quote(undefined), 'undefined');
    assert.equal(quote('x'.repeat(100)), `"${'x'.repeat(76)}…`);
  });
});
