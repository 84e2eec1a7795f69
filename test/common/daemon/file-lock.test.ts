import assert from 'node:assert/strict';
import { readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { lockFile } from '../../../common/daemon/file-lock.ts';
import { type Child, startNode } from '../../support/process/child-process.ts';
import { builtFile } from '../../support/repository.ts';
import { tempFolder } from '../../support/temp-folder.ts';

/** Starts a process that locks a file and says what became of it. */
function locker(
  t: TestContext,
  path: string,
  { after = '', env = {} }: { after?: string; env?: NodeJS.ProcessEnv } = {},
): Child {
  const program = `
    const { lockFile } = await import(${JSON.stringify(builtFile('common/daemon/file-lock.js'))});
    const { result, holder, reason } = await lockFile(${JSON.stringify(path)}, 'the other one');
    console.error(result, holder ?? '', reason ?? '');
    ${after}
    setInterval(() => {}, 1000);`;
  return startNode(t, ['--input-type=module', '-e', program], env);
}

describe('a lock on a file', () => {
  it('is taken while another process has it, and names that process', async (t) => {
    const path = join(await tempFolder(t), 'lock');
    const other = locker(t, path);
    await other.said('locked');
    assert.deepEqual(await lockFile(path, 'this one'), { result: 'taken', holder: 'the other one' });
    assert.equal(await readFile(path, 'utf8'), 'the other one\n');
  });

  it('ends when its process is killed, also when that has left a child behind', async (t) => {
    const path = join(await tempFolder(t), 'lock');
    const after = `
      const { spawn } = await import('node:child_process');
      const child = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' });
      console.error('child', child.pid, 'runs');`;
    const other = locker(t, path, { after });
    await other.said('runs');
    const child = Number(/child (\d+) runs/.exec(other.errors())?.[1]);
    t.after(() => process.kill(child, 'SIGKILL'));
    other.process.kill('SIGKILL');
    await other.ended;
    const found = await lockFile(path, 'this one');
    assert.ok(found.result === 'locked');
    await found.lock.release();
  });

  it('ends when its process becomes another program by exec, which closes the file', async (t) => {
    const path = join(await tempFolder(t), 'lock');
    const other = locker(t, path);
    await other.said('locked');
    const open = await readdir(`/proc/${other.pid}/fd`);
    const targets = await Promise.all(open.map((fd) => readlink(`/proc/${other.pid}/fd/${fd}`).catch(() => '')));
    const held = open.filter((_, index) => targets[index] === path);
    assert.equal(held.length, 1, targets.join(' '));
    const flags = /^flags:\s+([0-7]+)$/m.exec(await readFile(`/proc/${other.pid}/fdinfo/${held[0]}`, 'utf8'))?.[1];
    // O_CLOEXEC of Linux (fcntl.h); proc_pid_fdinfo(5) shows it among the flags.
    assert.notEqual(Number.parseInt(flags ?? '', 8) & 0o2000000, 0, flags);
  });

  it('can be had again after its release, and leaves the file', async (t) => {
    const path = join(await tempFolder(t), 'lock');
    for (const note of ['a long note of the first', 'second']) {
      const found = await lockFile(path, note);
      assert.ok(found.result === 'locked');
      assert.equal(await readFile(path, 'utf8'), `${note}\n`);
      await found.lock.release();
    }
  });

  it('is unavailable in a folder that is missing, and through a symbolic link', async (t) => {
    const folder = await tempFolder(t);
    assert.equal((await lockFile(join(folder, 'none', 'lock'), '')).result, 'unavailable');
    await writeFile(join(folder, 'target'), 'precious');
    await symlink('target', join(folder, 'link'));
    assert.equal((await lockFile(join(folder, 'link'), '')).result, 'unavailable');
    assert.equal(await readFile(join(folder, 'target'), 'utf8'), 'precious');
  });

  it('is unavailable on a system without the program flock, and says so', async (t) => {
    const path = join(await tempFolder(t), 'lock');
    const other = locker(t, path, { env: { PATH: '/nonexistent' } });
    await other.said('unavailable  the program flock cannot be run');
  });
});
