import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { exec } from '../../common/daemon/exec.ts';
import { must } from '../../deploy/tools/debian/apt.ts';
import { patienceMs } from '../support/eventually.ts';
import { builtFile } from '../support/repository.ts';
import { tempFolder } from '../support/temp-folder.ts';

describe('names that the DNS does not answer', { concurrency: 4 }, () => {
  for (const way of [
    'etcd',
    'checks',
    'resolve_host',
    'statsd',
    'a container engine',
    'a container engine over TLS',
    'ZooKeeper',
    'Marathon',
    'EC2',
    'S3',
  ]) {
    it(`delay no other name: ${way}`, async (t) => {
      const folder = await tempFolder(t);
      const resolvConf = join(folder, 'resolv.conf');
      await writeFile(resolvConf, 'nameserver 127.0.0.1\n');
      // A network and a view of the files of its own: nothing of it is left when the program has ended.
      const script = `ip link set lo up && mount --bind ${resolvConf} /etc/resolv.conf && exec "$@"`;
      const program = [process.execPath, builtFile('test/support/process/silent-dns-program.js'), way];
      const argv = ['unshare', '--net', '--mount', 'sh', '-c', script, 'sh', ...program] as const;
      const { stdout } = must(await exec(argv, { timeoutMs: patienceMs }), way);
      assert.equal(stdout, 'the good name');
    });
  }
});
