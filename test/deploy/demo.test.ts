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
    assert.match(
      stdout,
      /drained api-2 with 'nerve drain --wait' and killed it .*, \d+ ms after nerve asked; .* 0 failed/,
    );
    assert.deepEqual(await processesWith(temporary), []);
    assert.deepEqual(await readdir(temporary), []);
  });

  it('leaves no process behind when it is killed', async () => {
    const [logFile, env] = [join(folder, 'killed.log'), { TMPDIR: temporary }];
    const child = await startChild([process.execPath, main], { name: 'demo', logFile, env });
    await waitFor(child, () =>
      /http:\/\/127\.0\.0\.1:\d+\/.*api-2_\S+\s+up.*Ctrl-C ends everything/s.test(child.output()),
    );
    await child.stop('SIGKILL');
    await eventually(async () => assert.deepEqual(await processesWith(temporary), []));
    // Nothing can be removed after SIGKILL.
    for (const left of await readdir(temporary)) await rm(join(temporary, left), { recursive: true });
  });

  it('leaves nothing behind when its terminal is closed', async (t) => {
    const [logFile, env] = [join(folder, 'closed.log'), { TMPDIR: temporary }];
    // script(1) gives it a terminal, which is gone when script ends.
    const argv = ['script', '-q', '-c', `'${process.execPath}' '${main}'`, '/dev/null'] as const;
    const terminal = await startChild(argv, { name: 'terminal', logFile, env });
    t.after(() => terminal.stop('SIGKILL'));
    await waitFor(terminal, () => terminal.output().includes('Ctrl-C ends everything'));
    await terminal.stop('SIGKILL');
    await eventually(async () => assert.deepEqual(await processesWith(temporary), []));
    await eventually(async () => assert.deepEqual(await readdir(temporary), []));
  });

  it('leaves nothing behind when it is interrupted twice while it starts', async (t) => {
    const [logFile, env] = [join(folder, 'twice.log'), { TMPDIR: temporary }];
    const child = await startChild([process.execPath, main], { name: 'demo', logFile, env });
    t.after(() => child.stop('SIGKILL'));
    await waitFor(child, () => child.output().includes('starting the sample services'));
    child.signal('SIGINT');
    child.signal('SIGINT');
    await eventually(() => assert.equal(child.running, false));
    await eventually(async () => assert.deepEqual(await processesWith(temporary), []));
    await eventually(async () => assert.deepEqual(await readdir(temporary), []));
  });

  it('names its options when it does not know one', async () => {
    const { code, stderr } = await exec([process.execPath, main, '--twice'], { timeoutMs: patienceMs });
    assert.equal(code, 2);
    assert.match(stderr, /--twice.*--once/s);
  });
});
