import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { exec } from '../../common/daemon/exec.ts';
import { programPath } from '../support/daemons/daemon.ts';
import { patienceMs } from '../support/eventually.ts';
import { tempFolder } from '../support/temp-folder.ts';

/** Runs `check` with a configuration in which `FOLDER` stands for a folder that is there. */
async function check(t: TestContext, program: 'nerve' | 'synapse', config: object) {
  const folder = await tempFolder(t);
  await mkdir(join(folder, 'folder'));
  await writeFile(join(folder, 'file.json'), JSON.stringify(config).replaceAll('FOLDER', folder));
  const argv = [process.execPath, programPath(program), 'check', '-c', join(folder, 'file.json')] as const;
  const { code, stdout, stderr } = await exec(argv, { timeoutMs: patienceMs });
  const lines = stderr.trim().split('\n');
  const warnings = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  return {
    code,
    stdout,
    errors: lines.filter((line) => !line.startsWith('{')).map((line) => line.replaceAll(folder, 'F')),
    warnings: warnings.map(({ path, reason }) => `${path}: ${reason}`.replaceAll(folder, 'F')),
  };
}

describe('the command check', () => {
  it('of nerve names paths that cannot be used, as warnings and as errors', async (t) => {
    const checks = [{ type: 'module', file: 'FOLDER/none.js' }];
    const services = { api: { host: '127.0.0.1', port: 80, checks } };
    const etcd = { username: 'nerve', password_file: 'FOLDER/none' };
    const { code, errors, warnings } = await check(t, 'nerve', {
      ...{ etcd, services },
      heartbeat_path: 'FOLDER/folder',
      admin: { control_socket: 'FOLDER/none/x' },
    });
    assert.equal(code, 2);
    assert.deepEqual(warnings, ['admin.control_socket: the folder F/none does not exist, so there can be no F/none/x']);
    assert.deepEqual(errors, [
      'F/file.json: heartbeat_path: F/folder is a folder: name a file in it',
      'F/file.json: etcd.password_file: F/none does not exist',
      'F/file.json: services.api.checks[0].file: F/none.js does not exist',
    ]);
  });

  it('of synapse names paths that cannot be used, as warnings and as errors', async (t) => {
    const { code, errors, warnings } = await check(t, 'synapse', {
      etcd: { username: 'synapse', password_file: 'FOLDER/folder' },
      file_output: { output_directory: 'FOLDER/file.json' },
      services: { api: { discovery: { method: 'file', path: 'FOLDER/none' } } },
      haproxy: {
        global: [],
        defaults: [],
        do_checks: false,
        do_reloads: false,
        config_file_path: 'FOLDER/folder',
        socket_file_path: 'FOLDER/none/admin.sock',
      },
    });
    assert.equal(code, 2);
    assert.deepEqual(warnings, [
      'file_output.output_directory: F/file.json is not a folder',
      'haproxy.socket_file_path: the folder F/none does not exist, so there can be no F/none/admin.sock',
      'services.api.discovery.path: F/none does not exist, so nothing is read there until it is',
    ]);
    assert.deepEqual(errors, [
      'F/file.json: etcd.password_file: F/folder is a folder, not a file',
      'F/file.json: haproxy.config_file_path: F/folder is a folder: name a file in it',
    ]);
  });
});
