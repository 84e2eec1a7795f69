import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ExecError, exec, shell } from '../../../common/daemon/exec.ts';
import { eventually, patienceMs } from '../../support/eventually.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const patient = { timeoutMs: patienceMs };

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('exec', () => {
  it('returns the exit code and both outputs of a program', async () => {
    const result = await shell('cat; echo out; echo err >&2; exit 3', { ...patient, input: 'in ' });
    assert.deepEqual(result, { code: 3, signal: null, stdout: 'in out\n', stderr: 'err\n' });
  });

  it('passes arguments unchanged, without a shell', async () => {
    const { stdout } = await exec(['printf', '%s', '$HOME; `id`'], patient);
    assert.equal(stdout, '$HOME; `id`');
  });

  it('passes environment and working directory', async (t) => {
    const cwd = await tempFolder(t);
    const { stdout } = await shell('echo "$X $(pwd)"', {
      ...patient,
      cwd,
      env: { X: '1', PATH: process.env.PATH ?? '' },
    });
    assert.equal(stdout, `1 ${cwd}\n`);
  });

  it('keeps only the first part of an endless output', async () => {
    const { stdout, code } = await shell('head -c 5000000 /dev/zero; echo end', { ...patient, maxOutput: 1000 });
    assert.equal(stdout.length, 1000);
    assert.equal(code, 0);
  });

  it('accepts a program that does not read its input', async () => {
    const { code } = await exec(['true'], { ...patient, input: 'x'.repeat(1_000_000) });
    assert.equal(code, 0);
  });

  it('names a program that does not exist', async () => {
    await assert.rejects(exec(['/nonexistent/program'], patient), (error: Error) => {
      assert.ok(error instanceof ExecError);
      assert.match(error.message, /cannot run \/nonexistent\/program/);
      return true;
    });
  });

  it('kills a program and its grandchildren at the deadline, and reports its stderr', async (t) => {
    const file = join(await tempFolder(t), 'pid');
    const command = `sleep 1000 & echo $! > ${file}; echo busy >&2; wait`;
    await assert.rejects(shell(command, { timeoutMs: 500 }), {
      name: 'ExecError',
      message: '/bin/sh: killed after 500 ms: busy',
    });
    const grandchild = Number(await readFile(file, 'utf8'));
    assert.ok(grandchild > 0);
    await eventually(() => assert.equal(isAlive(grandchild), false));
  });

  it('ends at the deadline when only a grandchild holds the pipes', async () => {
    await assert.rejects(shell('sleep 1000 & exit 0', { timeoutMs: 300 }), /killed after 300 ms/);
  });

  it('kills a program when the signal aborts, and starts none after that', async () => {
    const end = new AbortController();
    const running = exec(['sleep', '1000'], patient, end.signal);
    end.abort();
    await assert.rejects(running, { name: 'ExecError', message: 'sleep: aborted' });
    await assert.rejects(exec(['sleep', '1000'], patient, end.signal), /aborted/);
  });
});

describe('exec, when a child has left the process group', () => {
  it('does not wait at the deadline for that child, which holds the output open', async (t) => {
    const file = join(await tempFolder(t), 'pid');
    const script = `setsid sh -c 'echo $$ > ${file}; exec sleep 600' & while [ ! -s ${file} ]; do sleep 0.01; done; sleep 600`;
    await assert.rejects(shell(script, { timeoutMs: 1_000 }), /killed after 1000 ms/);
    const pid = Number(await readFile(file, 'utf8'));
    assert.ok(isAlive(pid));
    process.kill(pid, 'SIGKILL');
  });
});
