import assert from 'node:assert/strict';
import { chmod, chown, mkdir, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
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
    const { path: socket } = await defaultSocket(owner('/etc/nerve/nerve.yaml', env));
    assert.match(String(socket), new RegExp(`^${folder}/nerve-[0-9a-f]{8}\\.sock$`));
    assert.match(
      String((await defaultStateFile(owner('/etc/nerve/nerve.yaml', env))).path),
      /\/nerve-[0-9a-f]{8}\.json$/,
    );
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
    assert.equal(new Set(names.map(({ path }) => path)).size, 4);
  });

  it('fit into the address of a unix socket, also with a long file name', async (t) => {
    const env = { RUNTIME_DIRECTORY: '/run/nerve-of-somebody', STATE_DIRECTORY: await tempFolder(t) };
    const path = await findSocket(owner(`/etc/${'x'.repeat(200)} y.yaml`, env));
    assert.ok(path.length < 100 && !path.includes(' '), path);
  });

  it('are in a folder that other users cannot enter when no folder is set up', async (t) => {
    const temporary = await useTemporary(t);
    const { path: socket } = await defaultSocket(owner('/etc/nerve.yaml'));
    const own = join(temporary, `nerve-${process.getuid?.()}`);
    assert.equal(dirname(String(socket)), own);
    assert.equal(
      await findSocket(owner('/etc/nerve.yaml')),
      join('/run/nerve', basename(String(socket))),
      'no socket yet',
    );
    await writeFile(String(socket), '');
    assert.equal(await findSocket(owner('/etc/nerve.yaml')), socket);
  });

  describe('in a folder that another user may have made', () => {
    const foreign = async (t: TestContext, make: (folder: string) => Promise<void>): Promise<string> => {
      const temporary = await useTemporary(t);
      const folder = join(temporary, `nerve-${process.getuid?.()}`);
      await make(folder);
      return folder;
    };
    const kinds: readonly (readonly [string, (folder: string) => Promise<void>, RegExp])[] = [
      [
        'belongs to another user',
        async (folder) => mkdir(folder, { mode: 0o700 }).then(() => chown(folder, 65534, 65534)),
        /belongs to user 65534/,
      ],
      [
        'can be entered by all users',
        async (folder) => mkdir(folder).then(() => chmod(folder, 0o777)),
        /has mode 0777, and not 0700/,
      ],
      ['is a symbolic link', async (folder) => symlink(tmpdir(), folder), /is not a folder/],
    ];
    for (const [what, make, reason] of kinds) {
      const skip = what.includes('belongs') && process.getuid?.() !== 0 ? 'setting owners needs root' : false;
      it(`are not used by the daemon, and not found by commands, when it ${what}`, { skip }, async (t) => {
        const folder = await foreign(t, make);
        for (const found of [
          await defaultSocket(owner('/etc/nerve.yaml')),
          await defaultStateFile(owner('/etc/nerve.yaml')),
        ]) {
          assert.equal(found.path, null);
          assert.match(String(found.reason), reason);
          assert.match(String(found.reason), new RegExp(`${folder}.*; remove it$`));
        }
        await writeFile(join(folder, await socketName(t)), '');
        await assert.rejects(findSocket(owner('/etc/nerve.yaml')), (error: Error) => {
          assert.match(error.message, reason);
          assert.match(
            error.message,
            /is not used.*; remove .*, or set admin\.control_socket to a path in a folder that only/,
          );
          return true;
        });
      });
    }
  });
});

/** The name of the socket of `/etc/nerve.yaml`. */
async function socketName(t: TestContext): Promise<string> {
  const env = { RUNTIME_DIRECTORY: await tempFolder(t) };
  return basename(await findSocket(owner('/etc/nerve.yaml', env)));
}

/** Lets the temporary folder of this process be one of its own, until the test ends. */
async function useTemporary(t: TestContext): Promise<string> {
  const temporary = await tempFolder(t);
  const before = process.env.TMPDIR;
  process.env.TMPDIR = temporary;
  t.after(() => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  });
  assert.equal(tmpdir(), temporary);
  return temporary;
}
