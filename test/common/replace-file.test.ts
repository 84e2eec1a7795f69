import assert from 'node:assert/strict';
import { chmod, chown, lstat, mkdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { writeFileAtomic } from '../../common/file.ts';
import { type Files, thisHost } from '../../common/host.ts';
import { tempFolder } from '../support/temp-folder.ts';

// Owners can only be set by root, as whom the tests run in containers; elsewhere these say that they did not run.
const mayChown = process.getuid?.() === 0 ? false : 'setting owners needs root';

const access = async (path: string): Promise<string> => {
  const { mode, uid, gid } = await stat(path);
  return `${uid}:${gid} ${(mode & 0o777).toString(8)}`;
};

/** Carries out a task as another user in a group of its own, as an unprivileged daemon does. */
async function asUser<T>(uid: number, task: () => Promise<T>, more: readonly number[] = []): Promise<T> {
  const groups = process.getgroups?.() ?? [];
  process.setgroups?.([uid, ...more]);
  process.setegid?.(uid);
  process.seteuid?.(uid);
  try {
    return await task();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
    process.setgroups?.(groups);
  }
}

describe('a file that is replaced', () => {
  for (const [uid, gid, mode] of [
    [0, 99, 0o640],
    [99, 98, 0o600],
    [0, 0, 0o644],
    [99, 99, 0o664],
  ] as const) {
    const what = `${uid}:${gid} 0${mode.toString(8)}`;
    it(`keeps its owner, group and permissions (${what})`, { skip: mayChown }, async (t) => {
      const path = join(await tempFolder(t), 'haproxy.cfg');
      await writeFile(path, 'old');
      await chown(path, uid, gid);
      await chmod(path, mode);
      await writeFileAtomic(path, 'new');
      assert.equal(await readFile(path, 'utf8'), 'new');
      assert.equal(await access(path), `${uid}:${gid} ${mode.toString(8)}`);
    });
  }

  it('has those permissions before its first byte, and none for others before that', async (t) => {
    const folder = await tempFolder(t);
    const path = join(folder, 'a');
    await writeFile(path, 'old');
    await chmod(path, 0o640);
    const seen = new Set<string>();
    let over = false;
    const watch = async (): Promise<void> => {
      while (!over) {
        for (const name of await thisHost.files.list(folder)) {
          const found = await lstat(join(folder, name)).catch(() => undefined);
          if (found === undefined || name === 'a') continue;
          const permissions = (found.mode & 0o777).toString(8);
          seen.add(found.size === 0 && permissions === '600' ? 'empty and private' : permissions);
        }
      }
    };
    const watching = watch();
    const text = 'x'.repeat(20_000_000);
    for (let round = 0; round < 5; round++) await writeFileAtomic(path, text);
    over = true;
    await watching;
    seen.delete('empty and private');
    assert.deepEqual([...seen], ['640']);
  });

  it('keeps a change of its permissions that is made while the new text is prepared', async (t) => {
    const path = join(await tempFolder(t), 'a');
    await writeFile(path, 'old');
    await chmod(path, 0o644);
    const files: Files = {
      ...thisHost.files,
      async write(...args) {
        await thisHost.files.write(...args);
        await chmod(path, 0o600);
      },
    };
    await writeFileAtomic(path, 'new', { files });
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });

  describe('by an unprivileged process', { skip: mayChown }, () => {
    const folderOf = async (t: TestContext): Promise<string> => {
      const folder = await tempFolder(t);
      await chmod(folder, 0o777);
      return folder;
    };
    for (const [what, owner, mode, expected] of [
      ['which root reads', [0, 0], 0o600, '65534:65534 600'],
      ['which all users read', [0, 99], 0o664, '65534:65534 644'],
      ['which is its own', [65534, 99], 0o600, '65534:65534 600'],
    ] as const) {
      it(`belongs to that process, when it is a file ${what}`, async (t) => {
        const path = join(await folderOf(t), 'a');
        await writeFile(path, 'old');
        await chown(path, owner[0], owner[1]);
        await chmod(path, mode);
        await asUser(65534, () => writeFileAtomic(path, 'new'));
        assert.equal(await readFile(path, 'utf8'), 'new');
        assert.equal(await access(path), expected);
      });
    }

    it('keeps its group, when it is a file of another user whose group both are in', async (t) => {
      const path = join(await folderOf(t), 'a');
      await writeFile(path, 'old');
      // Debian's users and groups: daemon is in the group daemon, and in no other one.
      await chown(path, 1, 1);
      await chmod(path, 0o640);
      await asUser(65534, () => writeFileAtomic(path, 'new'), [1]);
      assert.equal(await access(path), '65534:1 640');
    });

    for (const [what, owner, mode] of [
      ['a group reads', [0, 99], 0o640],
      ['another user reads', [98, 99], 0o600],
      ['a group reads, although it is its own', [65534, 99], 0o640],
    ] as const) {
      it(`stays as it was, with a clear error, when it is a file that ${what}`, async (t) => {
        const folder = await folderOf(t);
        const path = join(folder, 'a');
        await writeFile(path, 'old');
        await chown(path, owner[0], owner[1]);
        await chmod(path, mode);
        await asUser(65534, () =>
          assert.rejects(writeFileAtomic(path, 'new'), (error: Error) => {
            assert.equal(error.message, `cannot write ${path}`);
            const cause = (error.cause as Error).message;
            assert.match(cause, new RegExp(`user ${owner[0]} and group 99, and with mode 0${mode.toString(8)}`));
            assert.match(cause, /make user 65534 a member of group 99, or let all users read the file/);
            return true;
          }),
        );
        assert.equal(await readFile(path, 'utf8'), 'old');
        assert.equal(await access(path), `${owner.join(':')} ${mode.toString(8)}`);
        assert.deepEqual(await thisHost.files.list(folder), ['a']);
      });
    }
  });
});

describe('a symbolic link', () => {
  const world = async (t: TestContext): Promise<string> => {
    const folder = await tempFolder(t);
    for (const name of ['etc', 'opt', 'opt/deep']) await mkdir(join(folder, name));
    await writeFile(join(folder, 'opt/deep/real.cfg'), 'old');
    return folder;
  };

  for (const [what, links] of [
    ['that is absolute', [['etc/a', '$/opt/deep/real.cfg']]],
    ['that is relative', [['etc/a', '../opt/deep/real.cfg']]],
    [
      'in a chain',
      [
        ['etc/a', 'b'],
        ['etc/b', '$/opt/c'],
        ['opt/c', 'deep/real.cfg'],
      ],
    ],
    [
      'relative to a folder that is itself behind a link',
      [
        ['etc/in', '$/opt/deep'],
        ['opt/deep/up', '../deep/real.cfg'],
        ['etc/a', 'in/up'],
      ],
    ],
    [
      'with the parent of a linked folder',
      [
        ['etc/in', '$/opt/deep'],
        ['etc/a', 'in/../deep/real.cfg'],
      ],
    ],
  ] as const) {
    it(`${what} stays, and the file it leads to is replaced`, async (t) => {
      const folder = await world(t);
      for (const [from, to] of links) await symlink(to.replace('$', folder), join(folder, from));
      const target = join(folder, 'opt/deep/real.cfg');
      const before = (await stat(target)).ino;
      await writeFileAtomic(join(folder, 'etc/a'), 'new');
      for (const [from, to] of links) assert.equal(await readlink(join(folder, from)), to.replace('$', folder));
      assert.equal(await readFile(target, 'utf8'), 'new');
      assert.notEqual((await stat(target)).ino, before);
      assert.deepEqual(
        (await thisHost.files.list(join(folder, 'opt/deep'))).filter((name) => name.startsWith('.')),
        [],
      );
    });
  }

  it('that leads to no file stays, and the file is made', async (t) => {
    const folder = await world(t);
    await symlink('../opt/new.cfg', join(folder, 'etc/a'));
    await writeFileAtomic(join(folder, 'etc/a'), 'new');
    assert.equal(await readFile(join(folder, 'opt/new.cfg'), 'utf8'), 'new');
    assert.equal(await readlink(join(folder, 'etc/a')), '../opt/new.cfg');
  });

  for (const [what, target, reason] of [
    [
      'to a folder that does not exist',
      'nowhere/a',
      /it is a symbolic link to nowhere\/a, whose folder does not exist/,
    ],
    ['to itself', 'a', /leads through more than 40 symbolic links/],
    ['to a folder', '../opt/deep', /opt\/deep is not a file but a folder/],
    ['to a device', '/dev/null', /\/dev\/null is not a file$/],
    // Not even root may write there.
    ['to a folder that is not writable', '/proc/a', /^cannot write .*\/etc\/a, which leads to \/proc\/a: ENOENT/],
  ] as const) {
    it(`${what} is an error that says so`, async (t) => {
      const folder = await world(t);
      const path = join(folder, 'etc/a');
      await symlink(target, path);
      const said = await writeFileAtomic(path, 'new').then(
        () => 'nothing',
        (error: Error) => `${error.message}: ${(error.cause as Error).message}`,
      );
      assert.match(said, reason);
      assert.equal(await readlink(path), target);
    });
  }

  it('of another user, in a folder that all users can write to, is not followed', { skip: mayChown }, async (t) => {
    const folder = await world(t);
    await chmod(folder, 0o755);
    const open = join(folder, 'open');
    await mkdir(open);
    await chmod(open, 0o1777);
    const path = join(open, 'a');
    await asUser(65534, async () => symlink(join(folder, 'opt/deep/real.cfg'), path));
    const cause = { message: `${path} is a symbolic link of user 65534, in a folder that all users can write to` };
    await assert.rejects(writeFileAtomic(path, 'new'), (error: Error) => {
      assert.equal((error.cause as Error).message, cause.message);
      return true;
    });
    assert.equal(await readFile(join(folder, 'opt/deep/real.cfg'), 'utf8'), 'old');
    // The same link of root is followed.
    await rm(path);
    await symlink(join(folder, 'opt/deep/real.cfg'), path);
    await writeFileAtomic(path, 'new');
    assert.equal(await readFile(join(folder, 'opt/deep/real.cfg'), 'utf8'), 'new');
  });
});
