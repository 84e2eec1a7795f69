import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { removeUnfinished, writeFileAtomic } from '../../common/file.ts';
import { eventually } from '../support/eventually.ts';
import { builtModule } from '../support/repository.ts';
import { tempFolder } from '../support/temp-folder.ts';

describe('writeFileAtomic', () => {
  it('replaces a file with the given permissions, and leaves no other file', async (t) => {
    const folder = await tempFolder(t);
    const path = join(folder, 'a.cfg');
    await writeFile(path, 'old');
    await writeFileAtomic(path, 'new', { mode: 0o600 });
    assert.equal(await readFile(path, 'utf8'), 'new');
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(folder), ['a.cfg']);
  });

  it('leaves only files that removeUnfinished removes when the process is killed', async (t) => {
    const folder = await tempFolder(t);
    const path = join(folder, 'a');
    const module = builtModule('common/file.js');
    const script = `import(process.argv[1]).then(async ({ writeFileAtomic }) => {
      const text = 'x'.repeat(1e7);
      for (;;) await writeFileAtomic(process.argv[2], text);
    })`;
    const leave = async (): Promise<readonly string[]> => {
      await rm(path, { force: true });
      const child = spawn(process.execPath, ['-e', script, module, path]);
      await eventually(() => access(path));
      child.kill('SIGKILL');
      await once(child, 'close');
      return (await readdir(folder)).filter((name) => name !== 'a');
    };
    await eventually(async () => assert.notDeepEqual(await leave(), []));
    await removeUnfinished(path);
    assert.deepEqual(await readdir(folder), ['a']);
  });

  it('makes its temporary file in the given folder', async (t) => {
    const folder = await tempFolder(t);
    const staging = join(folder, 'staging');
    await mkdir(staging);
    await writeFileAtomic(join(folder, 'a'), 'new', { staging });
    assert.equal(await readFile(join(folder, 'a'), 'utf8'), 'new');
    assert.deepEqual(await readdir(staging), []);
  });

  it('leaves the old file and no temporary file when it fails', async (t) => {
    const folder = await tempFolder(t);
    const path = join(folder, 'a');
    // A folder cannot be replaced by a file, which holds for root too.
    await mkdir(path);
    await assert.rejects(writeFileAtomic(path, 'new'), { message: `cannot write ${path}` });
    assert.deepEqual(await readdir(folder), ['a']);
  });

  it('names the file when its folder is missing', async (t) => {
    const path = join(await tempFolder(t), 'missing', 'a');
    await assert.rejects(writeFileAtomic(path, 'new'), { message: `cannot write ${path}` });
  });

  it('reports a folder that it may not write to', async () => {
    // Not even by root.
    await assert.rejects(writeFileAtomic('/proc/a', 'new'), { message: 'cannot write /proc/a' });
  });

  it('shows readers the old text or the new one, also when the writer is killed', async (t) => {
    const folder = await tempFolder(t);
    const path = join(folder, 'a');
    const texts = ['a', 'b'].map((letter) => letter.repeat(300_000));
    await writeFile(path, texts[0] ?? '');
    const module = builtModule('common/file.js');
    const code = `import { writeFileAtomic } from ${JSON.stringify(module)};
      process.stdout.write('go');
      for (let i = 1; ; i++) await writeFileAtomic(${JSON.stringify(path)}, 'ab'[i % 2].repeat(300000));`;
    for (let round = 0; round < 8; round++) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
      for (let reads = 0; reads < 3; reads++) assert.ok(texts.includes(await readFile(path, 'utf8')));
      await new Promise((resolve) => setTimeout(resolve, round * 3));
      child.kill('SIGKILL');
      await once(child, 'exit');
      assert.ok(texts.includes(await readFile(path, 'utf8')));
    }
  });
});
