import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readSynapseConfig } from '../../../synapse/config/config.ts';
import { etcdPlaces } from '../../../synapse/discovery/discoverer.ts';
import { tempFolder } from '../../support/temp-folder.ts';

describe('the folders in etcd that a service of the configuration follows', () => {
  const cases: readonly (readonly [what: string, discovery: object, paths: readonly string[]])[] = [
    ['are the default', { method: 'etcd' }, ['/nerve/services/api']],
    ['get a slash in front where it is missing', { method: 'etcd', path: 'services/api' }, ['/services/api']],
    ['are without a slash on request', { method: 'etcd', path: '/a/b/', leading_slash: false }, ['a/b']],
    ['are none for other sources', { method: 'static' }, []],
    [
      'are those of all sources of a service, with both of a fallback',
      { method: 'etcd', path: '/one', fallback: { method: 'etcd', path: '/two', after: '30s' } },
      ['/one', '/two'],
    ],
  ];
  for (const [what, discovery, paths] of cases) {
    it(what, async (t) => {
      const file = join(await tempFolder(t), 'synapse.json');
      const haproxy = { global: [], defaults: [], do_writes: false, do_socket: false, do_reloads: false };
      const instances = [{ host: '10.0.0.1', port: 1 }];
      const api = { discovery, haproxy: {}, ...(paths.length === 0 && { default_servers: instances }) };
      await writeFile(file, JSON.stringify({ haproxy, services: { api } }));
      const { services, etcd } = await readSynapseConfig(file, { env: {} });
      const found = services.get('api');
      assert.ok(found !== undefined);
      assert.deepEqual(
        etcdPlaces(found.discovery, 'api', etcd).map(({ path }) => path),
        paths,
      );
    });
  }
});
