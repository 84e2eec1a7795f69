import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { globPattern } from '../../common/glob.ts';

const globs: readonly [glob: string, yes: readonly string[], no: readonly string[]][] = [
  ['api-*', ['api-1', 'api-'], ['api', 'xapi-1', 'api-1/2']],
  ['api/**', ['api/1', 'api/1/2'], ['api', 'apis/1']],
  ['a.b?', ['a.bc'], ['axbc', 'a.b', 'a.b/']],
];

describe('a glob pattern', () => {
  for (const [glob, yes, no] of globs) {
    it(`matches whole names that fit ${glob}`, () => {
      for (const text of yes) assert.ok(globPattern(glob).test(text), text);
      for (const text of no) assert.ok(!globPattern(glob).test(text), text);
    });
  }
});
