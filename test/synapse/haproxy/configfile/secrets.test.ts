import assert from 'node:assert/strict';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { silentLog } from '../../../../common/daemon/log.ts';
import { type Files, thisHost } from '../../../../common/host.ts';
import { ConfigFile } from '../../../../synapse/haproxy/configfile/config-file.ts';
import { plainConfig } from '../../../support/haproxy/haproxy-text.ts';
import { recordingLog } from '../../../support/process/recording-log.ts';
import { tempFolder } from '../../../support/temp-folder.ts';

const signal = new AbortController().signal;
// Owners can only be set by root, as whom the tests run in containers; elsewhere these say that they did not run.
const mayChown = process.getuid?.() === 0 ? false : 'setting owners needs root';

interface OpenOptions {
  readonly candidate?: string;
  readonly files?: Files;
  readonly check?: string;
  readonly log?: typeof silentLog;
}

const open = (path: string, { candidate, files = thisHost.files, check = 'true', log = silentLog }: OpenOptions = {}) =>
  new ConfigFile(
    {
      ...plainConfig({
        check_command: check,
        ...(candidate !== undefined && { candidate_config_file_path: candidate }),
      }),
      config_file_path: path,
    },
    { log, host: { ...thisHost, files } },
  );

/** All files below a folder, by path. */
async function filesBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

const access = async (path: string): Promise<string> => {
  const { mode, uid, gid } = await lstat(path);
  return `${uid}:${gid} ${(mode & 0o777).toString(8)}`;
};

describe('haproxy.cfg with secrets', { skip: mayChown }, () => {
  for (const [uid, gid, mode] of [
    [0, 0, 0o600],
    [0, 99, 0o640],
    [99, 99, 0o400],
  ] as const) {
    const expected = `${uid}:${gid} ${mode.toString(8)}`;
    it(`has no copy that others can read, and keeps its owner, group and permissions (${expected})`, async (t) => {
      const folder = await tempFolder(t);
      await chmod(folder, 0o755);
      const path = join(folder, 'haproxy.cfg');
      const candidate = join(folder, 'candidate.cfg');
      for (const options of [{}, { candidate }]) {
        await writeFile(path, 'password old\n');
        await chown(path, uid, gid);
        await chmod(path, mode);
        const check = `stat -c '%u:%g %a' ${options.candidate ?? join(folder, '.synapse/haproxy.cfg')} > ${folder}/seen`;
        const file = open(path, { ...options, check });
        await file.read();
        assert.equal((await file.write('password new\n', { check: true }, signal)).result, 'written');
        await file.keep(file.text);
        assert.equal(await readFile(path, 'utf8'), 'password new\n');
        assert.equal(await readFile(join(folder, 'seen'), 'utf8'), `${expected}\n`);
        assert.equal(await access(path), expected);
        assert.equal(await access(join(folder, '.synapse/haproxy.cfg.lkg')), expected);
        assert.match(await access(join(folder, '.synapse')), / 700$/);
      }
    });
  }

  it('makes a folder private that an earlier version has left open, with a copy that all users could read', async (t) => {
    const folder = await tempFolder(t);
    const path = join(folder, 'haproxy.cfg');
    await writeFile(path, 'password old\n', { mode: 0o600 });
    await mkdir(join(folder, '.synapse'), { mode: 0o755 });
    await writeFile(join(folder, '.synapse/haproxy.cfg.lkg'), 'password older\n');
    const file = open(path);
    await file.read();
    await file.write('password new\n', { check: true }, signal);
    assert.match(await access(join(folder, '.synapse')), / 700$/);
    await file.keep(file.text);
    assert.match(await access(join(folder, '.synapse/haproxy.cfg.lkg')), / 600$/);
  });

  it('is not written through a folder that another user has made first', async (t) => {
    const folder = await tempFolder(t);
    await chmod(folder, 0o1777);
    const path = join(folder, 'haproxy.cfg');
    await writeFile(path, 'old\n');
    await mkdir(join(folder, '.synapse'));
    await chown(join(folder, '.synapse'), 65534, 65534);
    const file = open(path);
    await file.read();
    await assert.rejects(file.write('new\n', { check: true }, signal), (error: Error) => {
      assert.match((error.cause as Error).message, /\.synapse is not used, .* belongs to user 65534, .*; remove it/);
      return true;
    });
    assert.equal(await readFile(path, 'utf8'), 'old\n');
  });
});

/** Files whose process is killed at the given call: that call and all later ones never end. `before`: the call is not begun. */
function killedAt(call: number): { readonly files: Files; readonly isDead: () => boolean } {
  let calls = 0;
  const never = new Promise<never>(() => {});
  const files = Object.fromEntries(
    Object.entries(thisHost.files).map(([name, method]) => [
      name,
      (...args: unknown[]) => {
        calls += 1;
        return calls >= call ? never : (method as (...all: unknown[]) => unknown)(...args);
      },
    ]),
  );
  return { files: files as unknown as Files, isDead: () => calls >= call };
}

describe('a crash while haproxy.cfg is replaced', () => {
  for (const kind of ['a file', 'a symbolic link', 'a file with a candidate elsewhere'] as const) {
    it(`leaves the old text or the new one, and no copy that others can read, at each step (${kind})`, async (t) => {
      let steps = 0;
      for (let call = 1; ; call++) {
        const folder = await tempFolder(t);
        await mkdir(join(folder, 'real'));
        const target = join(folder, kind === 'a symbolic link' ? 'real/haproxy.cfg' : 'haproxy.cfg');
        const path = join(folder, 'haproxy.cfg');
        await writeFile(target, 'password old\n', { mode: 0o600 });
        if (path !== target) await symlink('real/haproxy.cfg', path);
        const { files, isDead } = killedAt(call);
        const candidate = kind.includes('elsewhere') ? { candidate: join(folder, 'real/candidate') } : {};
        const run = async (file: ConfigFile): Promise<void> => {
          await file.read();
          await file.write('password new\n', { check: true }, signal);
          await file.keep(file.text);
        };
        let done = false;
        void run(open(path, { files, ...candidate })).then(() => {
          done = true;
        });
        while (!done && !isDead()) await setImmediate();
        assert.match(await readFile(path, 'utf8'), /^password (old|new)\n$/);
        for (const each of await filesBelow(folder)) assert.match(await access(each), / 600$/, `${each} at ${call}`);
        // The next process has no trouble with what is left.
        await run(open(path, candidate));
        assert.equal(await readFile(path, 'utf8'), 'password new\n');
        const names = (await filesBelow(folder)).map((each) => each.slice(folder.length + 1));
        assert.ok(
          !names.some((name) => name.endsWith('candidate') || name.endsWith('.synapse/haproxy.cfg')),
          `${names}`,
        );
        if (path !== target) assert.equal(await readlink(path), 'real/haproxy.cfg');
        if (done) break;
        steps += 1;
      }
      assert.ok(steps > 20, `${steps} steps`);
    });
  }
});

describe('haproxy.cfg that is a symbolic link', () => {
  const linked = async (t: TestContext, target: string): Promise<string> => {
    const folder = await tempFolder(t);
    await mkdir(join(folder, 'etc'));
    await mkdir(join(folder, 'shared'));
    await symlink(target, join(folder, 'etc/haproxy.cfg'));
    return folder;
  };

  it('stays one: the file that it leads to is checked beside it and replaced, and restored', async (t) => {
    const folder = await linked(t, '../shared/real.cfg');
    const target = join(folder, 'shared/real.cfg');
    await writeFile(target, 'old\n');
    const path = join(folder, 'etc/haproxy.cfg');
    const file = open(path);
    assert.equal(await file.read(), 'old\n');
    await file.keep(file.text);
    assert.equal((await file.write('new\n', { check: true }, signal)).result, 'written');
    assert.equal(await readFile(target, 'utf8'), 'new\n');
    assert.equal(await readlink(path), '../shared/real.cfg');
    assert.deepEqual(await file.write('new\n', { check: true }, signal), { result: 'unchanged' });
    assert.equal(await file.restore(), true);
    assert.equal(await readFile(target, 'utf8'), 'old\n');
    assert.deepEqual(await readdir(join(folder, 'etc')), ['haproxy.cfg']);
  });

  it('to a missing file makes the file; to a missing folder, it is an error that names the link', async (t) => {
    const folder = await linked(t, '../shared/real.cfg');
    const file = open(join(folder, 'etc/haproxy.cfg'));
    assert.equal(await file.read(), '');
    await file.write('new\n', { check: true }, signal);
    assert.equal(await readFile(join(folder, 'shared/real.cfg'), 'utf8'), 'new\n');
    await rm(join(folder, 'shared'), { recursive: true });
    await assert.rejects(
      open(join(folder, 'etc/haproxy.cfg')).write('new\n', { check: true }, signal),
      (error: Error) => {
        assert.match(error.message, /cannot write .*etc\/haproxy\.cfg/);
        assert.match(
          (error.cause as Error).message,
          /symbolic link to \.\.\/shared\/real\.cfg, whose folder does not exist/,
        );
        return true;
      },
    );
  });

  it('to another file system is replaced there, also when the candidate is not', async (t) => {
    // /dev/shm is a file system of its own on every Linux.
    const far = await mkdtemp('/dev/shm/smartstack-test-');
    t.after(() => rm(far, { recursive: true }));
    assert.notEqual((await stat(far)).dev, (await stat(tmpdir())).dev, 'needs two file systems');
    const target = join(far, 'real.cfg');
    const folder = await linked(t, target);
    await writeFile(target, 'old\n', { mode: 0o600 });
    const path = join(folder, 'etc/haproxy.cfg');
    const { log, lines } = recordingLog();
    for (const candidate of [undefined, join(folder, 'candidate')]) {
      const file = open(path, { log, ...(candidate !== undefined && { candidate }) });
      await file.read();
      const before = (await stat(target)).ino;
      assert.equal((await file.write(`new ${candidate}\n`, { check: true }, signal)).result, 'written');
      assert.equal(await readFile(target, 'utf8'), `new ${candidate}\n`);
      assert.notEqual((await stat(target)).ino, before, 'not overwritten in place');
      assert.deepEqual(
        (await filesBelow(far)).filter((name) => !name.endsWith('.lkg')),
        [target],
      );
    }
    assert.deepEqual(lines, []);
  });
});
