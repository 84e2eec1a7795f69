import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { silentLog } from '../../../common/daemon/log.ts';
import { thisHost } from '../../../common/host.ts';
import { OperatorStore } from '../../../nerve/announce/operator-store.ts';
import { recordingLog } from '../../support/process/recording-log.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const open = (path: string | null, log = silentLog) => OperatorStore.open(path, { log, files: thisHost.files });

describe('OperatorStore', () => {
  it('remembers drains from one process to the next, and that the last one has ended', async (t) => {
    const path = join(await tempFolder(t), 'state.json');
    const first = await open(path);
    assert.equal(first.remembered, false);
    first.setDrained('api', true);
    assert.equal(await first.saved(), null);
    const second = await open(path);
    assert.deepEqual([second.remembered, second.drainedSince('api')], [true, first.drainedSince('api')]);
    second.setDrained('api', false);
    await second.saved();
    const third = await open(path);
    assert.deepEqual([third.remembered, third.drainedSince('api')], [true, undefined]);
  });

  it('removes the temporary file of a process that was killed while it wrote', async (t) => {
    const folder = await tempFolder(t);
    await writeFile(join(folder, '.state.json.4711.0a1b2c3d'), '');
    await open(join(folder, 'state.json'));
    assert.deepEqual(await readdir(folder), []);
  });

  it('writes nothing when nothing changes', async (t) => {
    const path = join(await tempFolder(t), 'state.json');
    const operator = await open(path);
    operator.setDrained('api', false);
    await operator.saved();
    await assert.rejects(readFile(path), { code: 'ENOENT' });
  });

  for (const text of ['', '{', '[]', '{"drained": 5}']) {
    it(`remembers nothing, and logs why, when the file has ${JSON.stringify(text)}`, async (t) => {
      const path = join(await tempFolder(t), 'state.json');
      await writeFile(path, text);
      const { log, lines } = recordingLog();
      const operator = await open(path, log);
      assert.equal(operator.remembered, false);
      assert.deepEqual(
        lines.map(({ level, fields }) => [level, fields.path]),
        [['error', path]],
      );
      operator.setDrained('api', true);
      assert.equal(await operator.saved(), null);
    });
  }

  it('keeps a drain that cannot be written, and says why', async (t) => {
    const folder = await tempFolder(t);
    await mkdir(join(folder, 'state.json'));
    const operator = await open(join(folder, 'state.json'));
    operator.setDrained('api', true);
    assert.match((await operator.saved()) ?? '', /cannot write .*state\.json/);
    assert.ok(operator.drainedSince('api'));
  });

  it('remembers weights beside drains, and that one is as configured again', async (t) => {
    const path = join(await tempFolder(t), 'state.json');
    const first = await open(path);
    first.setWeight('api', 0);
    first.setWeight('web', 5);
    first.setDrained('web', true);
    await first.saved();
    const second = await open(path);
    assert.deepEqual([second.weightOf('api'), second.weightOf('web')], [0, 5]);
    assert.ok(second.drainedSince('web'));
    second.setWeight('web', undefined);
    await second.saved();
    assert.equal((await open(path)).weightOf('web'), undefined);
    second.setWeight('api', undefined);
    second.setDrained('web', false);
    await second.saved();
    assert.equal(await readFile(path, 'utf8'), '{"drained":{}}\n');
  });

  it('leaves out weights that are none, logs them, and keeps the rest', async (t) => {
    const path = join(await tempFolder(t), 'state.json');
    const weights = { a: 257, b: '5', c: null, d: -1, e: 1.5, __proto__: 1, f: 7 };
    await writeFile(path, JSON.stringify({ drained: { api: '2026' }, weights }));
    const { log, lines } = recordingLog();
    const operator = await open(path, log);
    assert.deepEqual([operator.remembered, operator.drainedSince('api'), operator.weightOf('f')], [true, '2026', 7]);
    for (const name of 'abcde') assert.equal(operator.weightOf(name), undefined);
    assert.equal(lines.length, 5);
  });

  it('remembers drains of a file whose weights are no object', async (t) => {
    const path = join(await tempFolder(t), 'state.json');
    await writeFile(path, '{"drained":{"api":"2026"},"weights":[1]}');
    assert.equal((await open(path)).drainedSince('api'), '2026');
  });

  it('says without a file that drains will be forgotten', async () => {
    const operator = await open(null);
    operator.setDrained('__proto__', true);
    assert.ok(operator.drainedSince('__proto__'));
    assert.equal(await operator.saved(), 'there is no state file');
  });
});
