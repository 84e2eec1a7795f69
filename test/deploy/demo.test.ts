import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exec } from '../../common/daemon/exec.ts';
import { startChild, waitFor } from '../../deploy/demo/child.ts';
import { eventually, patienceMs } from '../support/eventually.ts';
import { processesWith } from '../support/process/processes.ts';
import { builtFile } from '../support/repository.ts';

const main = builtFile('deploy/demo/main.js');

describe('the demo', () => {
  let folder: string;
  /** The demo keeps everything below it. */
  let temporary: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartstack-demo-test-'));
    temporary = await mkdtemp(join(folder, 'tmp-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('plays the scenario with --once, exits with 0 and leaves nothing behind', async () => {
    const env = { ...process.env, TMPDIR: temporary };
    const { code, stdout, stderr } = await exec([process.execPath, main, '--once'], { timeoutMs: 120_000, env });
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /killed api-1: out of rotation after \d+ ms; \d+ requests, 0 failed/);
    assert.match(stdout, /drained api-2 .*0 failed/);
    assert.deepEqual(await processesWith(temporary), []);
    assert.deepEqual(await readdir(temporary), []);
  });

  it('leaves no process behind when it is killed', async () => {
    const [logFile, env] = [join(folder, 'killed.log'), { TMPDIR: temporary }];
    const child = await startChild([process.execPath, main], { name: 'demo', logFile, env });
    await waitFor(child, () => /api-2_\S+\s+ready.*Ctrl-C ends everything/s.test(child.output()), 60_000);
    await child.stop('SIGKILL');
    await eventually(async () => assert.deepEqual(await processesWith(temporary), []));
  });

  it('names its options when it does not know one', async () => {
    const { code, stderr } = await exec([process.execPath, main, '--twice'], { timeoutMs: patienceMs });
    assert.equal(code, 2);
    assert.match(stderr, /--twice.*--once/s);
  });
});
