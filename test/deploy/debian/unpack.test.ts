import assert from 'node:assert/strict';
import { access, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { isUsable } from '../../../deploy/debian/unpack.ts';
import { findPackages } from '../../../deploy/debian.ts';

it('a tree of unpacked packages is of no use where it was moved to, and is made anew there', async (t) => {
  const name = `moved-${process.pid}`;
  const one = await findPackages(name, ['base-files']);
  const other = `${one}-away`;
  t.after(() =>
    Promise.all([one, other, `${one}.lock`, `${other}.lock`].map((path) => rm(path, { recursive: true, force: true }))),
  );
  assert.deepEqual([await isUsable(one), await isUsable(one, '/opt/one')], [true, false]);
  await rename(one, other);
  assert.deepEqual([await isUsable(one), await isUsable(other)], [false, false]);
  assert.equal(await findPackages(`${name}-away`, ['base-files']), other);
  assert.equal(await isUsable(other), true);
  await access(join(other, 'etc/debian_version'));
});
