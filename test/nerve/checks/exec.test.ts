import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readFile, realpath } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { assertFails, assertGivesUp, assertPasses, makeCheck } from '../../support/daemons/check.ts';
import { eventually } from '../../support/eventually.ts';
import { tempFolder } from '../../support/temp-folder.ts';

/** True while a process runs; false also for a zombie. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

const sh = (script: string): readonly string[] => ['/bin/sh', '-c', script];

describe('the exec check', () => {
  const cases: readonly (readonly [
    title: string,
    options: Readonly<Record<string, unknown>>,
    reason: RegExp | null,
  ])[] = [
    ['passes when the command exits with 0', { command: sh('exit 0') }, null],
    ['gives the exit code as the reason of a command without output', { command: sh('exit 3') }, /^exit code 3$/],
    [
      'gives the standard output as the reason',
      { command: sh('echo too; echo full; exit 1') },
      /^exit code 1: too full$/,
    ],
    [
      'gives the standard error as the reason when the standard output is empty',
      { command: sh('echo oops >&2; exit 1') },
      /^exit code 1: oops$/,
    ],
    ['fails a command that a signal ends', { command: sh('kill -9 $$') }, /^killed by SIGKILL$/],
    [
      'fails a command that does not exist',
      { command: ['/no/such/program'] },
      /^cannot run \/no\/such\/program: .*ENOENT$/,
    ],
    ['interprets no shell syntax', { command: ['/bin/echo', '$(exit 1)'] }, null],
    ['fails on exit code 1 without nagios', { command: sh('echo 81%; exit 1') }, /^exit code 1: 81%$/],
    ['passes on a warning of a Nagios plugin', { command: sh('exit 1'), nagios: true }, null],
    [
      'names the result of a Nagios plugin in the reason',
      { command: sh('echo DISK 99%; exit 2'), nagios: true },
      /^critical: DISK 99%$/,
    ],
    ['fails a Nagios plugin with an unknown result', { command: sh('exit 3'), nagios: true }, /^unknown$/],
    ['fails a Nagios plugin with another exit code', { command: sh('exit 127'), nagios: true }, /^exit code 127$/],
    ['fails for a user who does not exist', { command: sh('exit 0'), user: 'no-such-user' }, /^there is no user/],
  ];

  for (const [title, options, reason] of cases) {
    it(title, async () => {
      const check = await makeCheck('exec', options);
      if (reason === null) await assertPasses(check);
      else await assertFails(check, reason);
    });
  }

  it('runs the command with its environment, its working directory and the address of the service', async (t) => {
    const cwd = await realpath(await tempFolder(t));
    const script = 'echo "$GREETING $NERVE_SERVICE $NERVE_HOST $NERVE_PORT $PWD"; exit 1';
    const check = await makeCheck('exec', { command: sh(script), env: { GREETING: 'hi' }, cwd }, { port: 81 });
    await assertFails(check, new RegExp(`^exit code 1: hi api 127\\.0\\.0\\.1 81 ${cwd}$`));
  });

  it('runs the command as another user when nerve is root', async () => {
    const check = await makeCheck('exec', { command: sh('id -u; id -g; id -G; exit 1'), user: 'nobody' });
    if (process.getuid?.() === 0) await assertFails(check, /^exit code 1: 65534 65534 65534$/);
    else await assertFails(check, /^cannot run \/bin\/sh/);
  });

  it("runs the command of another user without nerve's own secrets, unless `env` names them", async (t) => {
    if (process.getuid?.() !== 0) return t.skip('only root may run commands as another user');
    const secrets = { ETCD_PASSWORD: 'one', AWS_SECRET_ACCESS_KEY: 'two', AWS_SESSION_TOKEN: 'three' };
    Object.assign(process.env, secrets);
    t.after(() => {
      for (const name of Object.keys(secrets)) delete process.env[name];
    });
    const command = sh('echo "$ETCD_PASSWORD:$AWS_SECRET_ACCESS_KEY:$AWS_SESSION_TOKEN:$NERVE_HOST"; exit 1');
    await assertFails(await makeCheck('exec', { command }), /: one:two:three:127\.0\.0\.1$/);
    await assertFails(await makeCheck('exec', { command, user: 'nobody' }), /: :::127\.0\.0\.1$/);
    const env = { ETCD_PASSWORD: 'own' };
    await assertFails(await makeCheck('exec', { command, user: 'nobody', env }), /: own:::127\.0\.0\.1$/);
  });

  it('keeps only the beginning of an endless output', async () => {
    const check = await makeCheck('exec', { command: sh('head -c 50000000 /dev/zero | tr "\\0" x; exit 1') });
    await assertFails(check, /^exit code 1: x{300}…$/);
  });

  it('kills the command and its children at the deadline and at an abort', async (t) => {
    const marker = `${await tempFolder(t)}/marker`;
    const check = await makeCheck('exec', { command: sh(`sh -c 'sleep 600; : ${marker}' & sleep 600; : ${marker}`) });
    await assertGivesUp(check);
    const left = await makeCheck('exec', {
      command: sh(`grep -l ${marker} /proc/[0-9]*/cmdline 2>/dev/null | grep -v /$$/ | wc -l; exit 1`),
    });
    await eventually(() => assertFails(left, /^exit code 1: [01]$/));
  });

  it('passes as soon as the command exits, and kills the children that it left behind', async (t) => {
    const file = `${await tempFolder(t)}/pids`;
    const start = (redirect: string) => `sleep 600 ${redirect} & echo $! >> ${file};`;
    const check = await makeCheck('exec', {
      command: sh(`${start('')} ${start('>/dev/null 2>&1 </dev/null')} exit 0`),
    });
    await assertPasses(check);
    const left = (await readFile(file, 'utf8')).trim().split('\n').map(Number);
    assert.equal(left.length, 2);
    for (const pid of left) await eventually(() => assert.equal(isRunning(pid), false));
  });

  it('refuses a command that is not a list, and a user that is not a name', async () => {
    await assert.rejects(makeCheck('exec', { command: 'true' }), /command: must be a list of strings/);
    await assert.rejects(makeCheck('exec', { command: [] }), /command: must be a list of strings/);
    await assert.rejects(makeCheck('exec', { command: ['true'], user: 'a b' }), /user: must be the name/);
  });
});
