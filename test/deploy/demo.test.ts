import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { exec } from '../../common/exec.ts';
import { type Child, startChild, waitFor } from '../../deploy/demo/child.ts';
import { eventually } from '../support/eventually.ts';

const main = fileURLToPath(new URL('../../deploy/demo/main.js', import.meta.url));

describe('the demo', () => {
  let folder: string;
  /** The demo keeps everything below it. */
  let temporary: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartstack-demo-test-'));
    temporary = await mkdtemp(join(folder, 'tmp-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  /** Processes that were started with a path below the demo's folder. */
  const processes = async (): Promise<readonly string[]> => {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
    return lines.filter((line) => line.includes(temporary));
  };
  const startLive = async (name: string): Promise<Child> => {
    const logFile = join(folder, `${name}.log`);
    const child = await startChild([process.execPath, main], { name, logFile, env: { TMPDIR: temporary } });
    await waitFor(child, () => /api-2_\S+\s+ready.*Ctrl-C ends everything/s.test(child.output()), 60_000);
    return child;
  };

  it('--once plays the story, exits with 0 and leaves nothing behind', async () => {
    const env = { ...process.env, TMPDIR: temporary };
    const { code, stdout, stderr } = await exec([process.execPath, main, '--once'], { timeout: 120_000, env });
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /api-1 killed: out of rotation after \d+ ms; \d+ requests, 0 failed/);
    assert.match(stdout, /api-2 drained .*0 failed/);
    assert.deepEqual(await processes(), []);
    assert.deepEqual(await readdir(temporary), []);
  });

  it('shows a table until Ctrl-C, and leaves nothing behind', async () => {
    const child = await startLive('interrupted');
    assert.ok((await processes()).length > 0);
    assert.equal(await child.stop('SIGINT', 30_000), 0, child.output());
    assert.deepEqual(await processes(), []);
    assert.deepEqual(await readdir(temporary), []);
  });

  it('leaves no process behind when it is killed', async () => {
    const child = await startLive('killed');
    await child.stop('SIGKILL');
    await eventually(async () => assert.deepEqual(await processes(), []));
  });

  it('says what it knows when it is asked for something else', async () => {
    const { code, stderr } = await exec([process.execPath, main, '--twice'], { timeout: 30_000 });
    assert.equal(code, 2);
    assert.match(stderr, /--twice.*--once/s);
  });
});
