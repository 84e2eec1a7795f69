import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import module from 'node:module';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { exec } from '../../../common/daemon/exec.ts';
import { root } from '../../support/repository.ts';
import { tempFolder } from '../../support/temp-folder.ts';

describe('the cache of compiled code', () => {
  const has = 'enableCompileCache' in module;
  it(`is ${has ? '' : 'not '}in the folder that systemd has made, with this version of Node`, async (t) => {
    const folder = await tempFolder(t);
    const env = { ...process.env, CACHE_DIRECTORY: `${folder}:/nonexistent` };
    const argv = [process.execPath, join(root, 'dist/nerve/main.js'), '--version'] as const;
    assert.equal((await exec(argv, { timeoutMs: 60_000, env })).code, 0);
    assert.equal((await readdir(folder)).length > 0, has);
  });

  it('is nowhere without such a folder', async (t) => {
    const folder = await tempFolder(t);
    const { CACHE_DIRECTORY: _, NODE_COMPILE_CACHE: __, ...rest } = process.env;
    const argv = [process.execPath, join(root, 'dist/nerve/main.js'), '--version'] as const;
    assert.equal((await exec(argv, { timeoutMs: 60_000, env: { ...rest, TMPDIR: folder } })).code, 0);
    assert.deepEqual(await readdir(folder), []);
  });
});
