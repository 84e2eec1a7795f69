import assert from 'node:assert/strict';
import { stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { thisHost } from '../../common/host.ts';
import { heartbeat } from '../../nerve/heartbeat.ts';
import { eventually } from '../support/eventually.ts';
import { recordingLog } from '../support/process/recording-log.ts';
import { tempFolder } from '../support/temp-folder.ts';

describe('heartbeat', () => {
  it('touches an old file without changing its content', async (t) => {
    const path = join(await tempFolder(t), 'heartbeat');
    await writeFile(path, 'text');
    await utimes(path, 1, 1);
    const end = new AbortController();
    const beating = heartbeat(path, { log: recordingLog().log, files: thisHost.files }, end.signal);
    await eventually(async () => assert.ok((await stat(path)).mtimeMs > 1_000_000));
    assert.equal((await stat(path)).size, 4);
    end.abort();
    await beating;
  });

  it('logs once that it cannot write, and goes on', async () => {
    const { log, lines } = recordingLog();
    const end = new AbortController();
    const beating = heartbeat('/proc/heartbeat', { log, files: thisHost.files }, end.signal);
    await eventually(() => assert.equal(lines.length, 1));
    assert.deepEqual([lines[0]?.level, lines[0]?.fields.path], ['warn', '/proc/heartbeat']);
    end.abort();
    await beating;
  });
});
