import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allProperties, trySeed } from './property.ts';

const all = await allProperties();

describe('random values', () => {
  for (const tried of all) {
    it(tried.name, async () => {
      const seed = Math.floor(Math.random() * 2 ** 31);
      const { failure } = await trySeed(tried, { seed, cases: tried.cases });
      assert.equal(failure, null, failure ?? '');
    });
  }
});
