import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { accessesLike, isMember } from '../../common/file-access.ts';
import { type Files, thisHost } from '../../common/host.ts';

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
    ['of another user and a group that its owner is in', facts(0o640, 50, 99), ['640 50:99', '640 -:99']],
    ['of another user only, with a group that its owner is in', facts(0o600, 50, 99), ['600 50:99']],
    ['of our own user, for a group', facts(0o640, self, 99), ['640 1000:99', '640 -:99']],
    ['of our own user only, with another group', facts(0o600, self, 99), ['600 1000:99', '600 -:99', '600 -:-']],
    ['with special bits', facts(0o6755, self, 99), ['755 1000:99', '755 -:99', '755 -:-']],
  ] as const) {
    it(`loses no reader of a file ${what}`, () => {
      const texts = accessesLike(old, { self, isOwnerInGroup: what.includes('its owner is in') }).map(
        ({ mode, uid, gid }) => `${mode.toString(8)} ${uid ?? '-'}:${gid ?? '-'}`,
      );
      assert.deepEqual(texts, expected);
    });
  }
});

describe('whether a user is a member of a group', () => {
  const files = (texts: Readonly<Record<string, string>>): Files => ({
    ...thisHost.files,
    read: async (path) => texts[path] ?? Promise.reject(new Error('ENOENT')),
  });
  const known = {
    '/etc/passwd': 'root:x:0:0:root:/root:/bin/sh\nhaproxy:x:99:98::/:/bin/false\n',
    '/etc/group': 'root:x:0:\nhaproxy:x:98:\nshared:x:97:a,haproxy\nother:x:96:haproxy2\n',
  };
  for (const [uid, gid, expected] of [
    [99, 98, true],
    [99, 97, true],
    [99, 96, false],
    [99, 0, false],
    [50, 98, false],
  ] as const) {
    it(`is ${expected} for ${uid} and ${gid}`, async () => {
      assert.equal(await isMember(uid, gid, files(known)), expected);
    });
  }

  it('is false when nothing can be read', async () => {
    assert.equal(await isMember(99, 98, files({})), false);
  });
});
