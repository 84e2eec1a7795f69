import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { thisHost } from '../../../../common/host.ts';
import { parseProc, reloadMaster } from '../../../../synapse/haproxy/reload/master.ts';
import { tempFolder } from '../../../support/temp-folder.ts';

describe('a reload through the master', () => {
  it('says in plain words why the master cannot be asked', async (t) => {
    const path = join(await tempFolder(t), 'master.sock');
    await assert.rejects(reloadMaster(path, { host: thisHost, timeoutMs: 1_000 }, new AbortController().signal), {
      message: `cannot ask HAProxy's master at ${path} (show proc): no such file`,
    });
  });
});

describe('the reloads and workers of the master', () => {
  it('are read from show proc', () => {
    const reply =
      '#<PID>          <type>          <reloads>       <uptime>        <version>\n1162            master          5 [failed: 1]   0d00h02m07s     2.6\n# workers\n1271            worker          0   0d00h00m00s 2.6\n# old workers\n1233            worker          3   0d 2.6\n# programs\n';
    assert.deepEqual(parseProc(reply), { reloads: 5, failed: 1, oldWorkers: 1 });
    assert.throws(() => parseProc(''), /show proc answered/);
  });
});
