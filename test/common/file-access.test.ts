import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { accessesLike } from '../../common/file-access.ts';

const self = 1000;
const facts = (mode: number, uid: number, gid: number) => ({ kind: 'file' as const, identity: '', mode, uid, gid });

describe('the access of a new file that replaces another one', () => {
  for (const [what, old, expected] of [
    ['of root, for a group', facts(0o640, 0, 99), ['640 0:99', '640 -:99']],
    ['of root only', facts(0o600, 0, 0), ['600 0:0', '600 -:0', '600 -:-']],
    ['for all users', facts(0o644, 0, 0), ['644 0:0', '644 -:0', '644 -:-']],
    ['for all users, and another group may write', facts(0o664, 0, 99), ['664 0:99', '664 -:99', '644 -:-']],
    ['of another user', facts(0o600, 50, 99), ['600 50:99']],
    ['of another user and a group', facts(0o640, 50, 99), ['640 50:99']],
    ['of our own user, for a group', facts(0o640, self, 99), ['640 1000:99', '640 -:99']],
    ['of our own user only, with another group', facts(0o600, self, 99), ['600 1000:99', '600 -:99', '600 -:-']],
    ['with special bits', facts(0o6755, self, 99), ['755 1000:99', '755 -:99', '755 -:-']],
  ] as const) {
    it(`loses no reader of a file ${what}`, () => {
      const texts = accessesLike(old, self).map(
        ({ mode, uid, gid }) => `${mode.toString(8)} ${uid ?? '-'}:${gid ?? '-'}`,
      );
      assert.deepEqual(texts, expected);
    });
  }
});
