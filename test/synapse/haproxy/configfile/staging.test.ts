import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { exec } from '../../../../common/daemon/exec.ts';
import { silentLog } from '../../../../common/daemon/log.ts';
import { thisHost } from '../../../../common/host.ts';
import { ConfigFile } from '../../../../synapse/haproxy/configfile/config-file.ts';
import { plainConfig } from '../../../support/haproxy/haproxy-text.ts';
import { recordingLog } from '../../../support/process/recording-log.ts';
import { tempFolder } from '../../../support/temp-folder.ts';

const signal = new AbortController().signal;
const small = 'small\n';
const large = `${'x'.repeat(200_000)}\n`;
// The test machine's containers run as root with leave to mount; elsewhere these say that they did not run.
const mayMount = process.getuid?.() === 0 ? false : 'mounting needs root';

async function mount(args: readonly string[], at: string): Promise<void> {
  const { code, stderr } = await exec(['mount', ...args, at], { timeoutMs: 5_000 });
  assert.equal(code, 0, stderr);
}

/** A folder that is gone when the test ends, with what was mounted below these paths of it, the last first. */
async function folderWithMounts(t: TestContext, ...mounts: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'smartstack-test-'));
  t.after(async () => {
    for (const path of [...mounts].reverse()) await exec(['umount', join(folder, path)], { timeoutMs: 5_000 });
    await rm(folder, { recursive: true, force: true });
  });
  return folder;
}

const open = (path: string, log = silentLog) =>
  new ConfigFile({ ...plainConfig({ check_command: 'true' }), config_file_path: path }, { log, host: thisHost });

describe('where the file cannot be replaced', () => {
  it('a full disk gives a clear error, and the old file stays as it was', { skip: mayMount }, async (t) => {
    const folder = await folderWithMounts(t, 'disk');
    const disk = join(folder, 'disk');
    await mkdir(disk);
    await mount(['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs'], disk);
    const path = join(disk, 'haproxy.cfg');
    await writeFile(path, small);
    const file = open(path);
    await file.read();
    await assert.rejects(file.write(large, { check: true }, signal), (error: Error) => {
      assert.equal(error.message, `cannot write ${path}`);
      assert.equal((error.cause as NodeJS.ErrnoException).code, 'ENOSPC');
      return true;
    });
    assert.equal(await readFile(path, 'utf8'), small);
    assert.equal(file.text, small);
    assert.deepEqual(await readdir(join(disk, '.synapse')), []);
    assert.equal((await file.write('fits\n', { check: true }, signal)).result, 'written');
  });

  it('a folder that is not writable gives a clear error, and the old file stays as it was', {
    skip: mayMount,
  }, async (t) => {
    const folder = await folderWithMounts(t, 'disk');
    const disk = join(folder, 'disk');
    await mkdir(disk);
    const path = join(disk, 'haproxy.cfg');
    await writeFile(path, small);
    await mount(['--bind', disk], disk);
    const { code, stderr } = await exec(['mount', '-o', 'remount,ro,bind', disk], { timeoutMs: 5_000 });
    assert.equal(code, 0, stderr);
    const file = open(path);
    await file.read();
    await assert.rejects(file.write('new\n', { check: true }, signal), (error: Error) => {
      assert.equal((error.cause as NodeJS.ErrnoException).code, 'EROFS');
      return true;
    });
    assert.equal(await readFile(path, 'utf8'), small);
  });

  it('a file that is mounted on its own is overwritten with shorter and longer texts, and one warning says so', {
    skip: mayMount,
  }, async (t) => {
    const folder = await folderWithMounts(t, 'etc/haproxy.cfg');
    const origin = join(folder, 'origin.cfg');
    await writeFile(origin, small);
    const etc = join(folder, 'etc');
    await mkdir(etc);
    const path = join(etc, 'haproxy.cfg');
    await writeFile(path, '');
    await mount(['--bind', origin], path);
    const { log, lines } = recordingLog();
    const file = open(path, log);
    assert.equal(await file.read(), small);
    assert.equal((await file.write(large, { check: true }, signal)).result, 'written');
    assert.equal(await readFile(origin, 'utf8'), large);
    assert.equal((await file.write('s\n', { check: true }, signal)).result, 'written');
    assert.equal(await readFile(origin, 'utf8'), 's\n');
    assert.equal(lines.filter(({ message }) => message.includes('mount its folder')).length, 1);
    assert.deepEqual(
      (await readdir(join(etc, '.synapse'))).filter((name) => !name.endsWith('.lkg')),
      [],
    );
  });

  it('a file that is mounted on its own gets its old text back when the disk is full', {
    skip: mayMount,
  }, async (t) => {
    const folder = await folderWithMounts(t, 'disk', 'etc/haproxy.cfg');
    const disk = join(folder, 'disk');
    const etc = join(folder, 'etc');
    await mkdir(disk);
    await mkdir(etc);
    await mount(['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs'], disk);
    await writeFile(join(disk, 'origin.cfg'), small);
    const path = join(etc, 'haproxy.cfg');
    await writeFile(path, '');
    await mount(['--bind', join(disk, 'origin.cfg')], path);
    const file = open(path);
    await file.read();
    await assert.rejects(file.write(large, { check: true }, signal), /cannot write/);
    assert.equal(await readFile(path, 'utf8'), small);
    assert.equal(file.text, small);
  });

  it('restoring puts back the text that was kept, and nothing when none was kept', async (t) => {
    const path = join(await tempFolder(t), 'haproxy.cfg');
    const file = open(path);
    assert.equal(await file.restore(), false);
    await file.write('good\n', { check: true }, signal);
    await file.keep(file.text);
    await file.write('bad\n', { check: true }, signal);
    assert.equal(await file.restore(), true);
    assert.equal(await readFile(path, 'utf8'), 'good\n');
    assert.equal(file.text, 'good\n');
  });
});
