// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what is tested
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { silentLog } from '../../../common/daemon/log.ts';
import { fleetTarget, pathOf } from '../../../synapse/commands/fleet-target.ts';
import { tempFolder } from '../../support/temp-folder.ts';

describe('the folder that a command asks the fleet about', () => {
  const cases: readonly (readonly [what: string, service: object, path: string])[] = [
    ['is the default without a discovery section', {}, '/nerve/services/api'],
    ['is the default of the source etcd', { discovery: { method: 'etcd' } }, '/nerve/services/api'],
    ['has one slash in front and none at the end', { discovery: { method: 'etcd', path: 'a/b//' } }, '/a/b'],
    [
      'has no slash in front where the source reads none',
      { discovery: { method: 'etcd', path: '/a/b/', leading_slash: false } },
      'a/b',
    ],
    [
      'has no slash in front where the source reads none from the default path',
      { discovery: { method: 'etcd', leading_slash: 'no' } },
      'nerve/services/api',
    ],
    ['is the default for another source', { discovery: { method: 'dns', path: '/a' } }, '/nerve/services/api'],
    [
      'is the default for a path that cannot be used',
      { discovery: { method: 'etcd', path: 3 } },
      '/nerve/services/api',
    ],
    [
      'is the default for a path with a variable',
      { discovery: { method: 'etcd', path: '/a/${B}' } },
      '/nerve/services/api',
    ],
  ];
  for (const [what, service, path] of cases) {
    it(what, async (t) => {
      const file = join(await tempFolder(t), 'synapse.json');
      await writeFile(file, JSON.stringify({ etcd: { hosts: ['http://127.0.0.1:2379'] }, services: { api: service } }));
      const target = await fleetTarget({ env: {}, openLog: async () => silentLog, needConfig: () => file });
      assert.equal(pathOf(target, 'api', undefined), path);
    });
  }
});
