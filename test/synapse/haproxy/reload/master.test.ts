import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { thisHost } from '../../../../common/host.ts';
import { reloadMaster } from '../../../../synapse/haproxy/reload/master.ts';
import { tempFolder } from '../../../support/temp-folder.ts';

describe('a reload through the master', () => {
  it('says in plain words why it cannot be asked', async (t) => {
    const path = join(await tempFolder(t), 'master.sock');
    await assert.rejects(reloadMaster(path, { host: thisHost, timeoutMs: 1_000 }, new AbortController().signal), {
      message: `cannot ask HAProxy's master at ${path} (show proc): no such file`,
    });
  });
});
