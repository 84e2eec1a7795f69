import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { silentLog } from '../../../../common/daemon/log.ts';
import { thisHost } from '../../../../common/host.ts';
import { ConfigFile } from '../../../../synapse/haproxy/configfile/config-file.ts';
import { plainConfig } from '../../../support/haproxy/haproxy-text.ts';

describe('haproxy.cfg', () => {
  let folder: string;
  let path: string;
  const signal = new AbortController().signal;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'config-file-'));
    path = join(folder, 'haproxy.cfg');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const open = (more: Record<string, unknown> = {}) =>
    new ConfigFile(
      { ...plainConfig({ check_command: 'true', ...more }), config_file_path: path },
      { log: silentLog, host: thisHost },
    );

  it('is written when it is missing, and counts as empty until then', async () => {
    const file = open();
    assert.equal(await file.read(), '');
    assert.deepEqual(await file.write('new\n', { check: true }, signal), { result: 'written', checked: true });
    assert.equal(await readFile(path, 'utf8'), 'new\n');
  });

  it('is not touched when nothing changes', async () => {
    await writeFile(path, 'same\n');
    const file = open();
    await file.read();
    const before = await stat(path);
    assert.deepEqual(await file.write('same\n', { check: true }, signal), { result: 'unchanged' });
    assert.deepEqual(await stat(path), before);
    assert.deepEqual(await readdir(folder), ['haproxy.cfg']);
  });

  it('is written again when another program wrote to it right after it was replaced', async () => {
    await writeFile(path, 'older\n');
    const file = open();
    await file.read();
    const writing = file.write('ours\n', { check: true }, signal);
    while ((await readFile(path, 'utf8')) !== 'ours\n') await setImmediate();
    writeFileSync(path, 'older\n');
    await writing;
    assert.deepEqual(await file.write('ours\n', { check: true }, signal), { result: 'written', checked: true });
    assert.equal(await readFile(path, 'utf8'), 'ours\n');
  });

  it('is replaced when the check accepts the new text; the old text and the permissions are kept', async () => {
    await writeFile(path, 'old\n');
    await chmod(path, 0o640);
    const candidate = join(folder, '.synapse', 'haproxy.cfg');
    const file = open({ check_command: `grep -q new ${candidate}` });
    await file.read();
    assert.equal((await file.write('new\n', { check: true }, signal)).result, 'written');
    assert.equal(await readFile(path, 'utf8'), 'new\n');
    assert.equal((await stat(path)).mode & 0o777, 0o640);
    assert.equal(await readFile(join(folder, '.synapse', 'haproxy.cfg.lkg'), 'utf8'), 'old\n');
  });

  it('stays when the check refuses the new text, and the reason is the error of the check', async () => {
    await writeFile(path, 'old\n');
    const file = open({
      check_command: 'echo "[ALERT]    (12) : config : it is bad" >&2; echo "[NOTICE] (1) : x" >&2; exit 1',
    });
    await file.read();
    assert.deepEqual(await file.write('new\n', { check: true }, signal), {
      result: 'refused',
      message: 'config : it is bad',
      findings: [{ line: undefined, message: 'config : it is bad' }],
    });
    assert.equal(await readFile(path, 'utf8'), 'old\n');
    assert.equal(file.text, 'old\n');
  });

  const withoutResult: readonly (readonly [what: string, more: Record<string, unknown>, reason: RegExp])[] = [
    ['hangs', { check_command: 'sleep 60', check_timeout: '100ms' }, /killed after 100 ms/],
    ['is killed', { check_command: 'kill -KILL $$' }, /ended by SIGKILL/],
    ['cannot be run', { check_command: null, haproxy_path: '/nowhere/haproxy', do_checks: true }, /cannot run/],
  ];
  for (const [what, more, reason] of withoutResult) {
    it(`is neither written nor called refused when the check ${what}`, async () => {
      const file = open(more);
      const causes = (error: Error): string => `${error.message}: ${error.cause ? causes(error.cause as Error) : ''}`;
      await assert.rejects(file.write('new\n', { check: true }, signal), (error: Error) => {
        assert.match(causes(error), /the check came to no result/);
        assert.match(causes(error), reason);
        return true;
      });
      await assert.rejects(readFile(path), /ENOENT/);
      await assert.rejects(file.check('new\n', signal), /cannot check/);
    });
  }

  for (const [what, change] of [
    ['removes', 'rm'],
    ['replaces', 'cp /etc/hostname'],
  ] as const) {
    it(`stays, without a verdict on the new text, when another program ${what} the candidate`, async () => {
      await writeFile(path, 'old\n');
      for (const end of ['true', 'false']) {
        const file = open({ check_command: `${change} ${join(folder, '.synapse', 'haproxy.cfg')}; ${end}` });
        await file.read();
        await assert.rejects(file.write('new\n', { check: true }, signal), (error: Error) => {
          assert.match(
            String((error.cause as Error).message),
            /another program changed or removed .* a second synapse/,
          );
          return true;
        });
        assert.equal(await readFile(path, 'utf8'), 'old\n');
      }
    });
  }

  it('is written without a check where HAProxy is not installed', async () => {
    const absent = { check_command: null, haproxy_path: join(folder, 'nothing') };
    assert.deepEqual(await open(absent).write('new\n', { check: true }, signal), { result: 'written', checked: false });
    assert.equal(await readFile(path, 'utf8'), 'new\n');
  });

  it('is checked at the candidate path that the user gave', async () => {
    const candidate = join(folder, 'candidate');
    const file = open({ candidate_config_file_path: candidate, check_command: `test "$(cat ${candidate})" = new` });
    assert.equal((await file.write('new\n', { check: true }, signal)).result, 'written');
  });

  it('is named in the error when it cannot be written', async () => {
    await rm(folder, { recursive: true });
    await writeFile(folder, '');
    await assert.rejects(open().write('new\n', { check: false }, signal), new RegExp(`cannot write ${path}`));
  });
});
