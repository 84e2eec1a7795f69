import assert from 'node:assert/strict';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import { programPath, startDaemon, type TestDaemon } from '../support/daemons/daemon.ts';
import { eventually } from '../support/eventually.ts';
import { startNode, startProgram } from '../support/process/child-process.ts';
import { tempFolder } from '../support/temp-folder.ts';

interface Options {
  readonly cfg?: string;
  readonly socket?: string;
  readonly state?: string;
  readonly services?: object;
}

/** Writes a configuration with files of its own unless `options` says otherwise; nothing in it is reachable. */
async function configFile(folder: string, name: string, options: Options = {}): Promise<string> {
  const own = join(folder, name);
  await mkdir(own, { recursive: true });
  const { cfg = join(own, 'haproxy.cfg'), socket = join(own, 'admin.sock'), state = join(own, 'state.json') } = options;
  const haproxy = {
    global: [],
    defaults: [],
    do_reloads: false,
    do_checks: false,
    config_file_path: cfg,
    socket_file_path: socket,
  };
  const config = {
    etcd: { hosts: ['http://127.0.0.1:1'] },
    admin: { listen: `127.0.0.1:${await freePort()}` },
    initial_wait: 0,
    state_file_path: state,
    services: options.services ?? {},
    haproxy,
  };
  const file = join(own, 'synapse.json');
  await writeFile(file, JSON.stringify(config));
  return file;
}

async function start(t: TestContext, config: string): Promise<TestDaemon> {
  const daemon = await startDaemon('synapse', config);
  t.after(() => daemon.end('SIGKILL'));
  return daemon;
}

describe('a second synapse on one host', () => {
  const shared: readonly (readonly [what: string, options: (folder: string) => Options, key: string])[] = [
    ['haproxy.cfg', (folder) => ({ cfg: join(folder, 'h.cfg') }), 'haproxy.config_file_path'],
    ['HAProxy', (folder) => ({ socket: join(folder, 'h.sock') }), 'haproxy.socket_file_path'],
    ['state file', (folder) => ({ state: join(folder, 'state') }), 'state_file_path'],
  ];
  for (const [what, options, key] of shared) {
    it(`does not start with the same ${what}, and names it and the first one`, async (t) => {
      const folder = await tempFolder(t);
      const first = await configFile(folder, 'first', options(folder));
      await start(t, first);
      const second = startNode(t, [programPath('synapse'), '-c', await configFile(folder, 'second', options(folder))]);
      await second.said('waiting for it to end');
      assert.equal(await second.ended, 1);
      assert.match(second.errors(), new RegExp(`${key}: another synapse uses .*configuration ${first}\\): stop it`));
    });
  }

  it('does not start with the same file by another name', async (t) => {
    const folder = await tempFolder(t);
    await start(t, await configFile(folder, 'first', { cfg: join(folder, 'h.cfg') }));
    await writeFile(join(folder, 'h.cfg'), '', { flag: 'a' });
    await mkdir(join(folder, 'other'));
    await symlink('../h.cfg', join(folder, 'other', 'h.cfg'));
    const cfg = join(folder, 'other', 'h.cfg');
    const second = startNode(t, [programPath('synapse'), '-c', await configFile(folder, 'second', { cfg })]);
    assert.equal(await second.ended, 1);
  });

  it('starts with files of its own, also in the same folders', async (t) => {
    const folder = await tempFolder(t);
    for (const name of ['a', 'b']) {
      const own = {
        cfg: join(folder, `${name}.cfg`),
        socket: join(folder, `${name}.sock`),
        state: join(folder, name, 's'),
      };
      await start(t, await configFile(folder, name, own));
    }
  });

  it('starts in place of one that was killed', async (t) => {
    const folder = await tempFolder(t);
    const config = await configFile(folder, 'first');
    const first = await start(t, config);
    await first.end('SIGKILL');
    const second = await start(t, config);
    assert.ok(!second.lines.some(({ message }) => String(message).includes('waiting for it to end')));
  });

  it('starts when the one that it replaces ends meanwhile', async (t) => {
    const folder = await tempFolder(t);
    const config = await configFile(folder, 'first');
    const first = await start(t, config);
    const second = startNode(t, [programPath('synapse'), '-c', config]);
    await second.said('waiting for it to end');
    await first.end();
    await second.said('synapse runs');
  });

  it('starts at once under a supervisor without a pause, however the first one ends', async (t) => {
    const folder = await tempFolder(t);
    const config = await configFile(folder, 'first');
    const loop = `trap 'kill -9 $child; exit' TERM
      while :; do "$0" "$@" & child=$!; echo "started $child" >&2; wait $child; echo "ended $child" >&2; done`;
    // Before the supervisor is killed, which would leave the last synapse behind.
    t.after(() => supervisor.process.kill('SIGTERM') && supervisor.ended);
    const supervisor = startProgram(t, ['sh', '-c', loop, process.execPath, programPath('synapse'), '-c', config]);
    const runs = (count: number) =>
      eventually(() => assert.equal(supervisor.errors().split('"message":"synapse runs"').length - 1, count));
    await runs(1);
    for (const [index, signal] of (['SIGKILL', 'SIGTERM', 'SIGKILL'] as const).entries()) {
      const pid = Number([...supervisor.errors().matchAll(/^started (\d+)$/gm)].at(-1)?.[1]);
      process.kill(pid, signal);
      await supervisor.said(`ended ${pid}`);
      await runs(index + 2);
    }
    assert.doesNotMatch(supervisor.errors(), /another synapse/);
  });

  it('starts in a process with the number of the first one, as in a container', async (t) => {
    const folder = await tempFolder(t);
    const config = await configFile(folder, 'first');
    const argv = ['unshare', '--pid', '--fork', '--kill-child', process.execPath, programPath('synapse'), '-c', config];
    const start1 = () => startProgram(t, argv as [string, ...string[]]);
    const first = start1();
    await first.said('synapse runs');
    assert.match(await readFile(join(folder, 'first', '.synapse', 'haproxy.cfg.lock'), 'utf8'), /^process 1 on /);
    const second = start1();
    await second.said('waiting for it to end');
    assert.equal(await second.ended, 1);
    first.process.kill('SIGKILL');
    await first.ended;
    const third = start1();
    await third.said('synapse runs');
  });

  it('starts in the process that had the lock, when that becomes synapse by exec', async (t) => {
    const folder = await tempFolder(t);
    const config = await configFile(folder, 'first');
    const lock = join(folder, 'first', '.synapse', 'haproxy.cfg.lock');
    await mkdir(join(folder, 'first', '.synapse'), { mode: 0o700 });
    // Perl, like Node.js, opens files so that exec closes them.
    const become = `use Fcntl ':flock'; open(my $file, '>', shift) or die; flock($file, LOCK_EX) or die; exec(@ARGV) or die;`;
    const argv = ['perl', '-e', become, lock, process.execPath, programPath('synapse'), '-c', config] as const;
    const child = startProgram(t, argv);
    await child.said('synapse runs');
    assert.doesNotMatch(child.errors(), /another synapse|cannot be locked/);
    assert.match(await readFile(lock, 'utf8'), new RegExp(`^process ${child.pid} on `));
  });

  it('is noticed when the first one has read its configuration again', async (t) => {
    const folder = await tempFolder(t);
    const config = await configFile(folder, 'first');
    const first = await start(t, config);
    first.kill('SIGHUP');
    await eventually(() => assert.ok(first.lines.some(({ message }) => message === 'configuration read again')));
    const second = startNode(t, [programPath('synapse'), '-c', config]);
    assert.equal(await second.ended, 1);
  });

  it('keeps its configuration when the new one names a HAProxy of another synapse', async (t) => {
    const folder = await tempFolder(t);
    await start(t, await configFile(folder, 'first', { socket: join(folder, 'h.sock') }));
    const own = await configFile(folder, 'second');
    const second = await start(t, own);
    await configFile(folder, 'second', { socket: join(folder, 'h.sock') });
    second.kill('SIGHUP');
    await eventually(async () => {
      const state = JSON.parse((await second.get('/api/v1/state')).body);
      assert.match(state.config_refused ?? '', /haproxy\.socket_file_path: another synapse uses the HAProxy at/);
    });
  });

  it('takes a HAProxy that the first one has given up', async (t) => {
    const folder = await tempFolder(t);
    const socket = join(folder, 'h.sock');
    const config = await configFile(folder, 'first', { socket });
    const first = await start(t, config);
    const { admin } = JSON.parse(await readFile(config, 'utf8'));
    await configFile(folder, 'first');
    await writeFile(config, JSON.stringify({ ...JSON.parse(await readFile(config, 'utf8')), admin }));
    first.kill('SIGHUP');
    await eventually(() => assert.ok(first.lines.some(({ message }) => message === 'configuration read again')));
    await start(t, await configFile(folder, 'second', { socket }));
  });

  it('is not held up by a folder that cannot be written to', async (t) => {
    const folder = await tempFolder(t);
    const config = await configFile(folder, 'first', { state: join(folder, 'none', 'state') });
    const first = await start(t, config);
    assert.ok(
      first.lines.some(
        ({ key, message }) => key === 'state_file_path' && String(message).includes('would not be noticed'),
      ),
    );
  });
});
