import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { programPath } from '../support/daemons/daemon.ts';
import { startNode } from '../support/process/child-process.ts';
import { tempFolder } from '../support/temp-folder.ts';

async function nerve(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const child = startNode(t, [programPath('nerve'), ...args], env);
  return { code: await child.ended, out: child.output(), err: child.errors() };
}

async function file(t: TestContext, config: object): Promise<string> {
  const path = join(await tempFolder(t), 'nerve.json');
  await writeFile(path, JSON.stringify(config));
  return path;
}

const valid = { services: { api: { host: '10.0.0.1', port: 80, checks: [{ type: 'tcp' }] } } };
const invalid = { services: { api: { host: '10.0.0.1', port: 0, checks: [{ type: 'http' }] } } };

describe('nerve', () => {
  it('validates a configuration by the command check, by -k and by the environment', async (t) => {
    const path = await file(t, valid);
    const key = `/nerve/services/api/${hostname()}_10.0.0.1:80`;
    const expected = { code: 0, out: `the configuration is valid: 1 service\napi: announces ${key}\n`, err: '' };
    assert.deepEqual(await nerve(t, ['check', '-c', path]), expected);
    assert.deepEqual(await nerve(t, ['-c', path, '-k']), expected);
    assert.deepEqual(await nerve(t, [], { NERVE_CONFIG: path, NERVE_CHECK_CONFIG: 'true' }), expected);
  });

  it('prints each problem on its own line and exits with 2, for check and for run', async (t) => {
    const path = await file(t, invalid);
    const err = [
      `${path}: services.api.port: must be a port, a whole number from 1 to 65535, not 0\n`,
      `${path}: services.api.checks[0].uri: is required: must be a path that starts with /\n`,
    ].join('');
    assert.deepEqual(await nerve(t, ['check', '-c', path]), { code: 2, out: '', err });
    assert.deepEqual(await nerve(t, ['-c', path]), { code: 2, out: '', err });
  });

  it('says without a configuration how to name one', async (t) => {
    const { code, err } = await nerve(t, []);
    assert.equal(code, 2);
    assert.match(err, /^name a configuration file with -c FILE or NERVE_CONFIG, or one service with NERVE_SERVICE/);
  });

  it('reports for status that nerve does not run, and that etcd cannot be read', async (t) => {
    const path = await file(t, { ...valid, admin: { listen: '127.0.0.1:1' }, etcd: { hosts: ['http://127.0.0.1:1'] } });
    const { code, out, err } = await nerve(t, ['status', '-c', path]);
    assert.deepEqual([code, err], [3, '']);
    assert.match(out, /^nerve is not running: nothing answers at 127\.0\.0\.1:1\nNothing checks these services now\./);
    assert.match(out, /^\S+ +\S+ +cannot be read: .*127\.0\.0\.1:1 range: connection refused$/m);
  });

  it('finds the running nerve although the rest of the configuration is invalid', async (t) => {
    const secret = '$' + '{ETCD_PASSWORD}';
    const path = await file(t, { ...invalid, etcd: { password: secret }, admin: { listen: '127.0.0.1:1' } });
    const { code, err } = await nerve(t, ['status', '-c', path]);
    assert.equal(code, 1);
    assert.match(
      err,
      /^nerve: nerve is not running: nothing answers at 127\.0\.0\.1:1; and the configuration is invalid/,
    );
    assert.match(err, /^ {2}\S+: etcd\.password: environment variable ETCD_PASSWORD is not set/m);
  });

  it('names the option to change when the admin address is in use', async (t) => {
    const holder = startNode(t, [
      '-e',
      "require('net').createServer().listen(0, '127.0.0.1', function () { console.error('port', this.address().port, '.') })",
    ]);
    await holder.said(' .');
    const port = /port (\d+)/.exec(holder.errors())?.[1];
    const { code, err } = await nerve(t, [
      '-c',
      await file(t, { services: {}, admin: { listen: `127.0.0.1:${port}` } }),
    ]);
    assert.equal(code, 1);
    assert.match(
      err,
      new RegExp(`nerve: admin\\.listen: cannot listen on 127\\.0\\.0\\.1:${port}: the address is in use`),
    );
  });

  it('describes its options and those of a check', async (t) => {
    const all = await nerve(t, ['describe']);
    assert.match(all.out, /\nservices\.NAME\nOPTION +TYPE +DEFAULT\nhost +host +required +address or name to announce/);
    assert.match(all.out, /\nttl +duration +10s +/);
    const http = JSON.parse((await nerve(t, ['describe', 'http', '--json'])).out);
    assert.deepEqual(http[0].options[0], {
      name: 'uri',
      type: 'path',
      default: 'required',
      required: true,
      doc: 'path to request, such as /health',
    });
    const wrong = await nerve(t, ['describe', 'htp']);
    assert.deepEqual([wrong.code, /unknown check type "htp"; did you mean http\?/.test(wrong.err)], [2, true]);
  });
});
