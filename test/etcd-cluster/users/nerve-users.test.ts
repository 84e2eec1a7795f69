import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { clusterCommand } from '../../support/etcd/cluster-command.ts';
import { tempFolder } from '../../support/temp-folder.ts';

describe('the list of nerves', () => {
  const one = { user: 'a', services: ['api'] };
  const wrong: readonly (readonly [nerves: unknown, message: RegExp])[] = [
    [{}, /nerves: must be a list of nerves, such as/],
    [[{ services: ['api'] }], /nerves\[0\]\.user: /],
    [[{ user: 'a' }], /nerves\[0\]: has no rights: add services or paths/],
    [[{ ...one, servces: ['api'] }], /nerves\[0\]\.servces: unknown key; did you mean services\?/],
    [[{ user: 'a', services: ['/nerve/services/api'] }], /nerves\[0\]\.services: must be a list of names of services/],
    [[{ user: 'a', paths: ['api'] }], /nerves\[0\]\.paths: must be a list of etcd_paths/],
    [[{ user: 'a', paths: ['/'] }], /nerves\[0\]\.paths: must be a list of etcd_paths/],
    [[{ ...one, instance_id: 'a/b' }], /nerves\[0\]\.instance_id: must be up to 128 of/],
    [[{ ...one, password: '' }], /nerves\[0\]\.password: must be a non-empty string/],
    [
      [{ ...one, fleet: 'fleet' }],
      /nerves\[0\]\.fleet: must be a path such as \/smartstack\/fleet, .*, or false, not "fleet"/,
    ],
    [[{ ...one, fleet: true }], /nerves\[0\]\.fleet: must be a path such as/],
    [[one, one], /users: the user a is named twice/],
    [[{ ...one, user: 'root' }], /nerves\[0\]\.user: root has all rights/],
    [
      [
        { ...one, instance_id: 'h_1' },
        { user: 'b', services: ['api'], instance_id: 'h' },
      ],
      /nerves\[0\]\.instance_id: the keys of this instance_id begin with \/nerve\/services\/api\/h_, so that b could write/,
    ],
    [[], /has no users: add nerves or users/],
  ];
  for (const [list, message] of wrong) {
    it(`refuses ${JSON.stringify(list)}`, async (t) => {
      const file = join(await tempFolder(t), 'access.json');
      await writeFile(file, JSON.stringify({ etcd: { hosts: 'http://127.0.0.1:1' }, nerves: list }));
      const { code, stderr } = await clusterCommand('access', [file]);
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
    });
  }

  it('allows the user of a service beside those of its hosts, and hosts of different services', async (t) => {
    const file = join(await tempFolder(t), 'access.json');
    const list = [one, { ...one, user: 'b', instance_id: 'h' }, { user: 'c', services: ['web'], instance_id: 'h_1' }];
    await writeFile(file, JSON.stringify({ nerves: list }));
    const folder = await tempFolder(t);
    const args = ['--ca', join(folder, 'ca'), '--out', join(folder, 'tls'), '--access', file, 'etcd1=127.0.0.1'];
    const { code, stderr } = await clusterCommand('certificates', args);
    assert.deepEqual([code, stderr], [0, '']);
  });
});
