import assert from 'node:assert/strict';
import { access, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { findPackages } from '../../../../deploy/tools/debian/programs.ts';
import { isUsable } from '../../../../deploy/tools/debian/unpack.ts';

describe('findPackages', () => {
  it('unpacks packages again when their folder was moved', async (t) => {
    const name = `moved-${process.pid}`;
    const one = await findPackages(name, ['base-files']);
    const other = `${one}-away`;
    t.after(() =>
      Promise.all(
        [one, other, `${one}.lock`, `${other}.lock`].map((path) => rm(path, { recursive: true, force: true })),
      ),
    );
    assert.deepEqual([await isUsable(one), await isUsable(one, '/opt/one')], [true, false]);
    await rename(one, other);
    assert.deepEqual([await isUsable(one), await isUsable(other)], [false, false]);
    assert.equal(await findPackages(`${name}-away`, ['base-files']), other);
    assert.equal(await isUsable(other), true);
    await access(join(other, 'etc/debian_version'));
  });
});
