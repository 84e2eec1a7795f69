import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { sleep } from '../../../../common/async/sleep.ts';
import { locked } from '../../../../deploy/tools/debian/lock.ts';
import { builtModule } from '../../../support/repository.ts';
import { tempFolder } from '../../../support/temp-folder.ts';

describe('a lock on a file', () => {
  it('is held by one task at a time', async (t) => {
    const path = join(await tempFolder(t), 'lock');
    const steps: string[] = [];
    const task = (name: string) => async (): Promise<string> => {
      steps.push('in');
      await sleep(50);
      steps.push('out');
      return name;
    };
    assert.deepEqual(await Promise.all(['a', 'b', 'c'].map((name) => locked(path, task(name)))), ['a', 'b', 'c']);
    assert.deepEqual(steps, ['in', 'out', 'in', 'out', 'in', 'out']);
  });

  it('is released by a task that fails', async (t) => {
    const path = join(await tempFolder(t), 'lock');
    await assert.rejects(
      locked(path, () => Promise.reject(new Error('no'))),
      /^Error: no$/,
    );
    assert.equal(await locked(path, async () => 1), 1);
  });

  it('is released when its process is killed', async (t) => {
    const path = join(await tempFolder(t), 'lock');
    const module = builtModule('deploy/tools/debian/lock.js');
    const code = `
      const { locked } = await import(${JSON.stringify(module)});
      await locked(${JSON.stringify(path)}, () => { console.log('has it'); return new Promise((done) => setTimeout(done, 60_000)); });`;
    const other = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(other.stdout, 'data');
    other.kill('SIGKILL');
    assert.equal(await locked(path, async () => 1), 1);
  });

  it('cannot be taken in a folder that does not exist', async () => {
    await assert.rejects(
      locked('/nowhere/lock', async () => 1),
      /\/nowhere\/lock: /,
    );
  });
});
