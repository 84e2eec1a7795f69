import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
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

  const moments = {
    'etcd starts': 'starting three etcd members',
    'the services start': 'starting the sample services',
    'synapse starts': 'starting HAProxy and synapse',
    'it runs': 'Ctrl-C ends everything',
    'it plays the scenario': 'out of rotation after',
  } as const;
  for (const [moment, said] of Object.entries(moments)) {
    const once = moment === 'it plays the scenario' ? ' --once' : '';
    it(`leaves nothing behind when its terminal is closed while ${moment}`, async (t) => {
      const [logFile, env] = [join(folder, `closed ${moment}.log`), { TMPDIR: temporary }];
      // script(1) gives it a terminal, which is gone when script ends.
      const argv = ['script', '-q', '-c', `'${process.execPath}' '${main}'${once}`, '/dev/null'] as const;
      const terminal = await startChild(argv, { name: 'terminal', logFile, env });
      t.after(() => terminal.stop('SIGKILL'));
      await waitFor(terminal, () => terminal.output().includes(said));
      await terminal.stop('SIGKILL');
      await eventually(async () => assert.deepEqual(await processesWith(temporary), []));
      await eventually(async () => assert.deepEqual(await readdir(temporary), []));
    });

    for (const signal of ['SIGINT', 'SIGHUP'] as const) {
      it(`ends soon and leaves nothing behind at one ${signal} while ${moment}`, async (t) => {
        const [logFile, env] = [join(folder, `${signal} ${moment}.log`), { TMPDIR: temporary }];
        const argv: [string, ...string[]] = [process.execPath, main, ...(once === '' ? [] : ['--once'])];
        const child = await startChild(argv, { name: 'demo', logFile, env });
        t.after(() => child.stop('SIGKILL'));
        await waitFor(child, () => child.output().includes(said));
        child.signal(signal);
        await eventually(() => assert.equal(child.running, false));
        assert.deepEqual(await processesWith(temporary), []);
        assert.deepEqual(await readdir(temporary), []);
      });
    }
  }

  it('says what it waits for, and ends when it is told to, while etcd does not become healthy', async (t) => {
    const programs = await mkdtemp(join(folder, 'programs-'));
    const fake = join(programs, 'etcd');
    await writeFile(
      fake,
      '#!/bin/sh\n[ "$1" != --version ] || { echo "etcd Version: 3.5.16"; exit; }\nexec sleep 600\n',
    );
    await chmod(fake, 0o755);
    const env = { TMPDIR: temporary, PATH: `${programs}:${process.env.PATH}` };
    const child = await startChild([process.execPath, main], { name: 'demo', logFile: join(folder, 'slow.log'), env });
    t.after(() => child.stop('SIGKILL'));
    const line =
      /^still waiting for etcd after \d+ s; its logs are below \S+\/etcd; a busy machine is slow: wait, or press Ctrl-C$/m;
    await waitFor(child, () => line.test(child.output()));
    child.signal('SIGINT');
    await eventually(() => assert.equal(child.running, false));
    assert.deepEqual(await processesWith(temporary), []);
    assert.deepEqual(await readdir(temporary), []);
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
