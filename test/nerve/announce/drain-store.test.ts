import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { silentLog } from '../../../common/daemon/log.ts';
import { thisHost } from '../../../common/host.ts';
import { DrainStore } from '../../../nerve/announce/drain-store.ts';
import { recordingLog } from '../../support/process/recording-log.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const open = (path: string | null, log = silentLog) => DrainStore.open(path, { log, files: thisHost.files });

describe('DrainStore', () => {
  it('remembers drains from one process to the next, and that the last one has ended', async (t) => {
    const path = join(await tempFolder(t), 'state.json');
    const first = await open(path);
    assert.equal(first.remembered, false);
    first.set('api', true);
    assert.equal(await first.saved(), null);
    const second = await open(path);
    assert.deepEqual([second.remembered, second.since('api')], [true, first.since('api')]);
    second.set('api', false);
    await second.saved();
    const third = await open(path);
    assert.deepEqual([third.remembered, third.since('api')], [true, undefined]);
  });

  it('removes the temporary file of a process that was killed while it wrote', async (t) => {
    const folder = await tempFolder(t);
    await writeFile(join(folder, '.state.json.4711.0a1b2c3d'), '');
    await open(join(folder, 'state.json'));
    assert.deepEqual(await readdir(folder), []);
  });

  it('writes nothing when nothing changes', async (t) => {
    const path = join(await tempFolder(t), 'state.json');
    const drains = await open(path);
    drains.set('api', false);
    await drains.saved();
    await assert.rejects(readFile(path), { code: 'ENOENT' });
  });

  for (const text of ['', '{', '[]', '{"drained": 5}']) {
    it(`remembers nothing, and logs why, when the file has ${JSON.stringify(text)}`, async (t) => {
      const path = join(await tempFolder(t), 'state.json');
      await writeFile(path, text);
      const { log, lines } = recordingLog();
      const drains = await open(path, log);
      assert.equal(drains.remembered, false);
      assert.deepEqual(
        lines.map(({ level, fields }) => [level, fields.path]),
        [['error', path]],
      );
      drains.set('api', true);
      assert.equal(await drains.saved(), null);
    });
  }

  it('keeps a drain that cannot be written, and says why', async (t) => {
    const folder = await tempFolder(t);
    await mkdir(join(folder, 'state.json'));
    const drains = await open(join(folder, 'state.json'));
    drains.set('api', true);
    assert.match((await drains.saved()) ?? '', /cannot write .*state\.json/);
    assert.ok(drains.since('api'));
  });

  it('says without a file that drains will be forgotten', async () => {
    const drains = await open(null);
    drains.set('__proto__', true);
    assert.ok(drains.since('__proto__'));
    assert.equal(await drains.saved(), 'there is no state file');
  });
});
