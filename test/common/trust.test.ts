import assert from 'node:assert/strict';
import { chmod, chown, mkdir, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { control, readState } from '../../common/admin/client.ts';
import { silentLog } from '../../common/daemon/log.ts';
import { thisHost } from '../../common/host.ts';
import { whyChangeable, whyUntrusted } from '../../common/trust.ts';
import { cacheFolder } from '../../deploy/tools/debian/programs.ts';
import { OperatorStore } from '../../nerve/announce/operator-store.ts';
import { inspectStateFile } from '../../synapse/catalog/state-file.ts';
import { recordingLog } from '../support/process/recording-log.ts';
import { tempFolder } from '../support/temp-folder.ts';

// Owners can only be set by root, as whom the tests run in containers; elsewhere these say that they did not run.
const mayChown = process.getuid?.() === 0 ? false : 'setting owners needs root';
const { files } = thisHost;

interface Part {
  readonly uid: number;
  readonly mode: number;
}

/** A folder below the temporary one, and a file in it. */
async function place(t: TestContext, folder: Part, file: Part): Promise<string> {
  const outer = await tempFolder(t);
  await chmod(outer, 0o755);
  const path = join(outer, 'folder/file');
  await mkdir(join(outer, 'folder'));
  await writeFile(path, '{"drained":{"api":"2026"}}');
  await chown(path, file.uid, 0);
  await chmod(path, file.mode);
  await chown(join(outer, 'folder'), folder.uid, 0);
  await chmod(join(outer, 'folder'), folder.mode);
  return path;
}

describe('whether another user may have put a file there', { skip: mayChown }, () => {
  const file = { uid: 0, mode: 0o600 };
  for (const [what, folder, own, reason] of [
    ['our file in our folder', { uid: 0, mode: 0o755 }, file, null],
    ['our file in a folder such as /tmp', { uid: 0, mode: 0o1777 }, file, null],
    ['our file in a folder that all users can write to', { uid: 0, mode: 0o777 }, file, null],
    ["a service's file in its own folder", { uid: 1000, mode: 0o755 }, { uid: 1000, mode: 0o600 }, null],
    ["our file in a service's folder", { uid: 1000, mode: 0o755 }, file, null],
    [
      "another user's file in a folder such as /tmp",
      { uid: 0, mode: 0o1777 },
      { uid: 1000, mode: 0o666 },
      /file belongs to user 1000, in a folder that all users can write to/,
    ],
    [
      "another user's file in a folder that all users can write to",
      { uid: 1000, mode: 0o777 },
      { uid: 1000, mode: 0o666 },
      /file belongs to user 1000, in a folder/,
    ],
    [
      "a group's file in our folder",
      { uid: 0, mode: 0o770 },
      { uid: 1000, mode: 0o660 },
      /file belongs to user 1000, its folder to user 0/,
    ],
  ] as const) {
    it(`is ${reason === null ? 'denied' : 'said'} for ${what}`, async (t) => {
      const why = await whyUntrusted(await place(t, folder, own), files);
      if (reason === null) assert.equal(why, null);
      else assert.match(String(why), reason);
    });
  }

  it('is said for a file in a folder that another user has made in a folder such as /tmp', async (t) => {
    const path = await place(t, { uid: 1000, mode: 0o700 }, file);
    await chmod(join(path, '../..'), 0o1777);
    assert.match(String(await whyUntrusted(path, files)), /folder belongs to user 1000, in a folder that all users/);
  });

  it('is denied for what is not there, and decided for the target of a symbolic link', async (t) => {
    assert.equal(await whyUntrusted(join(await tempFolder(t), 'nothing/at/all'), files), null);
    const target = await place(t, { uid: 0, mode: 0o1777 }, { uid: 1000, mode: 0o600 });
    const link = join(await tempFolder(t), 'link');
    await symlink(target, link);
    assert.match(String(await whyUntrusted(link, files)), /file belongs to user 1000/);
  });
});

describe('what another user may have put there', { skip: mayChown }, () => {
  const foreign = { uid: 1000, mode: 0o666 };
  const openFolder = { uid: 0, mode: 0o1777 };

  it('is not asked for commands: a control socket', async (t) => {
    const path = join(await place(t, openFolder, foreign), '../nerve.sock');
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(String(request.url));
      response.end('{"instances":[]}');
    });
    t.after(() => server.close());
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await chown(path, 1000, 1000);
    const target = { listen: false, control_socket: path } as const;
    const refusal =
      /nerve\.sock is not used, because another user may have put it there: .* belongs to user 1000, .*; start nerve again, or set admin\.control_socket to a path/;
    await assert.rejects(control(target, '/api/v1/drain', {}, { program: 'nerve' }), refusal);
    await assert.rejects(readState(target, { program: 'nerve' }), refusal);
    assert.deepEqual(asked, []);
    await chown(path, 0, 0);
    await control(target, '/api/v1/drain', {}, { program: 'nerve' });
    assert.deepEqual(asked, ['/api/v1/drain']);
  });

  it("is not believed: nerve's state file", async (t) => {
    const { log, lines } = recordingLog();
    const path = await place(t, openFolder, foreign);
    const operator = await OperatorStore.open(path, { log, files });
    assert.equal(operator.remembered, false);
    assert.equal(operator.drainedSince('api'), undefined);
    assert.match(
      String(lines[0]?.fields.reason),
      /is not used, because another user .*; remove it, or set state_file_path/,
    );
    await chown(path, 0, 0);
    assert.equal((await OperatorStore.open(path, { log: silentLog, files })).drainedSince('api'), '2026');
  });

  it("is not believed: synapse's state file", async (t) => {
    const path = await place(t, openFolder, foreign);
    const { unreadable } = await inspectStateFile({ path, ttlMs: 1_000 }, files);
    assert.match(String(unreadable), /is not used, because another user .*; remove it, or set state_file_path/);
  });
});

describe('the folder that programs are unpacked to', { skip: mayChown }, () => {
  for (const [what, folder, reason] of [
    [
      'of another user',
      { uid: 1000, mode: 0o755 },
      /programs in .* are not run, .* belongs to user 1000; remove that folder, or set PROGRAMS_CACHE/,
    ],
    ['that all users can write to', { uid: 0, mode: 0o1777 }, /programs in .* are not run, .* all users can write to/],
    ['of our own', { uid: 0, mode: 0o755 }, null],
  ] as const) {
    it(`is ${reason === null ? 'used' : 'refused'} when it is one ${what}`, async (t) => {
      const path = join(await place(t, folder, { uid: 0, mode: 0o644 }), '..');
      const found = cacheFolder({ PROGRAMS_CACHE: path });
      if (reason === null) assert.equal(await found, path);
      else await assert.rejects(found, reason);
    });
  }

  it('may belong to the owner of the checkout, but not lie in a folder that others can write to', async (t) => {
    const path = join(await place(t, { uid: 1000, mode: 0o755 }, { uid: 0, mode: 0o644 }), '..');
    assert.equal(await whyChangeable(path, 1000, files), null);
    await chmod(join(path, '..'), 0o777);
    assert.match(String(await whyChangeable(path, 1000, files)), /all users can write to/);
  });
});
