import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { type FileHandle, open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { exec } from '../../common/daemon/exec.ts';
import { programPath } from '../support/daemons/daemon.ts';
import { eventually } from '../support/eventually.ts';
import { tempFolder } from '../support/temp-folder.ts';

const quiet = { admin: { listen: false } };
const configs = {
  nerve: { ...quiet, etcd: { hosts: ['127.0.0.1:1'] }, state_file_path: false },
  synapse: { ...quiet, haproxy: { global: [], defaults: [], do_writes: false, do_socket: false, do_reloads: false } },
};

describe('a SIGHUP while the configuration is read for the first time', () => {
  for (const name of ['nerve', 'synapse'] as const) {
    it(`makes ${name} read it once more`, async (t) => {
      const file = join(await tempFolder(t), 'config.json');
      // Reading a pipe takes until the test has written to it.
      assert.equal((await exec(['mkfifo', file], { timeoutMs: 10_000 })).code, 0);
      const child = spawn(process.execPath, [programPath(name), '-c', file], { stdio: ['ignore', 'ignore', 'pipe'] });
      t.after(() => child.kill('SIGKILL'));
      const ended = once(child, 'exit');
      let log = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        log += text;
      });
      // Opening fails while nothing reads.
      let pipe: FileHandle | undefined;
      await eventually(async () => {
        pipe = await open(file, constants.O_WRONLY | constants.O_NONBLOCK);
      });
      child.kill('SIGHUP');
      const text = JSON.stringify(configs[name]);
      await writeFile(`${file}.next`, text);
      await rename(`${file}.next`, file);
      await pipe?.writeFile(text);
      await pipe?.close();
      await eventually(() => assert.match(log, /configuration read again/));
      child.kill('SIGTERM');
      assert.deepEqual(await ended, [0, null], log);
    });
  }
});
