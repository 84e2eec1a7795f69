import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { knownHint, nearest } from '../../common/nearest.ts';

describe('nearest', () => {
  for (const [word, near] of [
    ['chek', 'check'],
    ['check', 'check'],
    ['statsu', 'status'],
    ['xyz', undefined],
  ] as const) {
    it(`finds ${near} for ${word}`, () => assert.equal(nearest(word, ['run', 'check', 'status']), near));
  }
});

describe('knownHint', () => {
  it('names the nearest word', () => assert.equal(knownHint('ectd', ['dns', 'etcd']), 'did you mean etcd?'));
  it('lists all words when none is near', () =>
    assert.equal(knownHint('redis', ['dns', 'etcd']), 'known are dns, etcd'));
});
