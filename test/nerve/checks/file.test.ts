import assert from 'node:assert/strict';
import { chmod, mkdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { assertFails, assertPasses, makeCheck } from '../../support/daemons/check.ts';
import { tempFolder } from '../../support/temp-folder.ts';

describe('the file check', () => {
  it('passes while a file exists, and fails while there is none', async (t) => {
    const path = join(await tempFolder(t), 'ready');
    const check = await makeCheck('file', { path });
    await assertFails(check, new RegExp(`^${path} does not exist$`));
    await writeFile(path, '');
    await assertPasses(check);
    await rm(path);
    await assertFails(check, /does not exist/);
  });

  it('passes while a maintenance flag is absent, and fails while it exists', async (t) => {
    const path = join(await tempFolder(t), 'maintenance');
    const check = await makeCheck('file', { path, state: 'absent' });
    await assertPasses(check);
    await writeFile(path, '');
    await assertFails(check, new RegExp(`^${path} exists$`));
  });

  it('fails when the last write is older than max_age', async (t) => {
    const path = join(await tempFolder(t), 'heartbeat');
    await writeFile(path, '');
    const check = await makeCheck('file', { path, max_age: 60 });
    await assertPasses(check);
    const then = new Date(Date.now() - 90_000);
    await utimes(path, then, then);
    await assertFails(check, /heartbeat was last written 90 s ago, max_age is 1m$/);
  });

  it('treats a path below a file as absent, and fails on a path that it may not see', async (t) => {
    const folder = await tempFolder(t);
    await writeFile(join(folder, 'file'), '');
    await assertPasses(await makeCheck('file', { path: join(folder, 'file/flag'), state: 'absent' }));
    await assertFails(
      await makeCheck('file', { path: `/${'x'.repeat(300)}`, state: 'absent' }),
      /^cannot stat .*name too long/,
    );
    await mkdir(join(folder, 'closed'));
    await chmod(join(folder, 'closed'), 0);
    if (process.getuid?.() === 0) return; // root sees everything
    await assertFails(
      await makeCheck('file', { path: join(folder, 'closed/flag'), state: 'absent' }),
      /permission denied$/,
    );
  });

  it('refuses options that contradict each other', async () => {
    await assert.rejects(makeCheck('file', { path: 'flag' }), /path: must be an absolute path/);
    await assert.rejects(
      makeCheck('file', { path: '/f', state: 'absent', max_age: 1 }),
      /max_age needs state: present/,
    );
    await assert.rejects(makeCheck('file', { path: '/f', state: 'gone' }), /state: must be one of/);
  });

  it('gives up at once when its signal has aborted', async () => {
    const check = await makeCheck('file', { path: '/' });
    await assert.rejects(check(AbortSignal.abort(new Error('too late'))), /too late/);
  });
});
