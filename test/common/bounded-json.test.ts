import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { maxJsonDepth, parseBoundedJson } from '../../common/bounded-json.ts';

const lists = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
const objects = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;

describe('JSON from the network', () => {
  const fine: readonly (readonly [title: string, text: string])[] = [
    ['a record', '{"host":"h","port":1,"labels":{"a":"b"}}'],
    ['lists as deep as allowed', lists(maxJsonDepth)],
    ['objects as deep as allowed', objects(maxJsonDepth)],
    ['brackets within a string', JSON.stringify({ a: '[{'.repeat(1_000) })],
    ['escaped quotes and backslashes within a string', JSON.stringify({ a: `"\\"${'['.repeat(100)}\\\\` })],
    ['many values side by side', JSON.stringify(Array.from({ length: 1_000 }, () => [{}]))],
    ['a number', '7'],
  ];
  for (const [title, text] of fine) {
    it(`is read: ${title}`, () => assert.deepEqual(parseBoundedJson(text), JSON.parse(text)));
  }

  const deep: readonly (readonly [title: string, text: string])[] = [
    ['lists that are too deep', lists(maxJsonDepth + 1)],
    ['objects that are too deep', objects(maxJsonDepth + 1)],
    ['64 KiB of brackets', '['.repeat(65_536)],
    ['brackets behind a string', `{"a":"]]]]","b":${lists(maxJsonDepth)}}`],
  ];
  for (const [title, text] of deep) {
    it(`is refused before it is parsed: ${title}`, (t) => {
      const parse = t.mock.method(JSON, 'parse');
      assert.throws(() => parseBoundedJson(text), /nested more than 32 levels deep/);
      assert.equal(parse.mock.callCount(), 0);
    });
  }

  for (const text of ['', '"', '{"a":"\\', '[1', ']]']) {
    it(`is refused by the parser: ${JSON.stringify(text)}`, () =>
      assert.throws(() => parseBoundedJson(text), SyntaxError));
  }
});
