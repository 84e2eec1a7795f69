import assert from 'node:assert/strict';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { defaultSocket, defaultStateFile, findSocket, type Owner } from '../../../common/daemon/default-paths.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const owner = (configFile: string | undefined, env: Owner['env'] = {}): Owner => ({
  program: 'nerve',
  configFile,
  env,
});

describe('default paths', () => {
  it('are in the folders that systemd gives, named after the configuration file', async (t) => {
    const folder = await tempFolder(t);
    const env = { RUNTIME_DIRECTORY: `${folder}:/elsewhere`, STATE_DIRECTORY: folder };
    const socket = await defaultSocket(owner('/etc/nerve/nerve.yaml', env));
    assert.match(String(socket), new RegExp(`^${folder}/nerve-[0-9a-f]{8}\\.sock$`));
    assert.match(String(await defaultStateFile(owner('/etc/nerve/nerve.yaml', env))), /\/nerve-[0-9a-f]{8}\.json$/);
    await writeFile(String(socket), '');
    assert.equal(await findSocket(owner('/etc/nerve/nerve.yaml', env)), socket);
  });

  it('differ for two configuration files of one name, and for two services without a file', async (t) => {
    const env = { RUNTIME_DIRECTORY: await tempFolder(t) };
    const names = await Promise.all([
      defaultSocket(owner('/a/nerve.yaml', env)),
      defaultSocket(owner('/b/nerve.yaml', env)),
      defaultSocket(owner(undefined, { ...env, NERVE_SERVICE: 'api' })),
      defaultSocket(owner(undefined, { ...env, NERVE_SERVICE: 'web' })),
    ]);
    assert.equal(new Set(names).size, 4);
  });

  it('fit into the address of a unix socket, also with a long file name', async (t) => {
    const env = { RUNTIME_DIRECTORY: '/run/nerve-of-somebody', STATE_DIRECTORY: await tempFolder(t) };
    const path = await findSocket(owner(`/etc/${'x'.repeat(200)} y.yaml`, env));
    assert.ok(path.length < 100 && !path.includes(' '), path);
  });

  it('are in a folder that other users cannot enter when no folder is set up', async (t) => {
    const temporary = await tempFolder(t);
    const before = process.env.TMPDIR;
    process.env.TMPDIR = temporary;
    t.after(() => {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    });
    assert.equal(tmpdir(), temporary);
    const socket = await defaultSocket(owner('/etc/nerve.yaml'));
    const own = join(temporary, `nerve-${process.getuid?.()}`);
    assert.equal(dirname(String(socket)), own);
    await chmod(own, 0o777);
    assert.equal(await defaultSocket(owner('/etc/nerve.yaml')), null, 'not in a folder that others can write to');
    await mkdir(join(temporary, 'x'));
  });
});
