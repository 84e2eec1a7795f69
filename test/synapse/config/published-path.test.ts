import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { readSynapseConfig, type SynapseConfig } from '../../../synapse/config/config.ts';
import { keepEqual } from '../../../synapse/config/keep-equal.ts';
import { recordingLog } from '../../support/process/recording-log.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const zookeeper = { method: 'zookeeper', hosts: ['127.0.0.1:9'], path: '/smartstack/services/api' };

/** Where the document of the service `api` lies, and the folder that the warning names; undefined: there is no warning. */
const cases: readonly (readonly [discovery: object, folder: string | undefined])[] = [
  [{ method: 'etcd' }, undefined],
  [{ method: 'etcd', generator_config_path: 'disabled' }, undefined],
  [{ method: 'etcd', generator_config_path: '/smartstack/config/api' }, undefined],
  [{ method: 'etcd', generator_config_path: '/nerve/config/api' }, undefined],
  [{ method: 'etcd', generator_config_path: '/nerve/services-config/api' }, undefined],
  [{ method: 'etcd', generator_config_path: '/nerve/services/api' }, '/nerve/services/'],
  [{ method: 'etcd', generator_config_path: 'nerve/services/api/config/' }, '/nerve/services/'],
  [{ method: 'etcd', generator_config_path: '/nerve/services/other' }, '/nerve/services/'],
  [{ method: 'etcd', path: '/prod/api', generator_config_path: '/nerve/services/api' }, '/nerve/services/'],
  [{ method: 'etcd', path: '/prod/api', generator_config_path: '/prod/api-config' }, '/prod/'],
  [{ method: 'etcd', path: '/prod/api', generator_config_path: '/smartstack/config/api' }, undefined],
  [{ method: 'etcd', path: '/prod', generator_config_path: '/prod/config' }, '/prod/'],
  [{ method: 'etcd', path: '/prod', generator_config_path: '/production-config' }, undefined],
  [zookeeper, undefined],
  [{ ...zookeeper, generator_config_path: 'disabled' }, undefined],
  [{ ...zookeeper, generator_config_path: '/smartstack/config/api' }, undefined],
  [{ ...zookeeper, generator_config_path: '/smartstack/services/api' }, '/smartstack/services/'],
  [{ ...zookeeper, method: 'zookeeper_dns', generator_config_path: '/smartstack/services/b' }, '/smartstack/services/'],
];

async function read(t: TestContext, discovery: object, haproxy: object = {}) {
  const file = join(await tempFolder(t), 'synapse.json');
  const off = { global: [], defaults: [], do_writes: false, do_socket: false, do_reloads: false };
  const services = { api: { discovery, haproxy: { port: 1, listen: ['mode http'] } } };
  await writeFile(file, JSON.stringify({ services, haproxy: { ...off, ...haproxy } }));
  const { log, lines } = recordingLog();
  return { config: await readSynapseConfig(file, { env: {}, log }), lines };
}

describe('the path of a published configuration', () => {
  for (const [discovery, folder] of cases) {
    it(`${folder === undefined ? 'is fine' : `has a warning that names ${folder}`} with ${JSON.stringify(discovery)}`, async (t) => {
      const { lines } = await read(t, discovery);
      if (folder === undefined) return assert.deepEqual(lines, []);
      assert.deepEqual(
        lines.map(({ level, message, fields }) => [level, message, fields.path]),
        [['warn', 'configuration warning', 'services.api.discovery.generator_config_path']],
      );
      assert.match(String(lines[0]?.fields.reason), new RegExp(`^lies below ${folder}, .*/smartstack/config/api$`));
    });
  }

  it('has a warning in each of several sources', async (t) => {
    const bad = { method: 'etcd', generator_config_path: '/nerve/services/api' };
    const { lines } = await read(t, {
      method: 'multi',
      watchers: { a: bad, b: zookeeper },
      resolver: { method: 'union' },
    });
    assert.deepEqual(
      lines.map(({ fields }) => fields.path),
      ['services.api.discovery.watchers.a.generator_config_path'],
    );
  });
});

describe('a configuration that is read again', () => {
  const merged = ({ services }: SynapseConfig, document: object) => services.get('api')?.withPublished?.(document);
  const document = { haproxy: { backend: ['option httpchk /'] } };

  it('refuses a document that new defaults do not allow any more', async (t) => {
    const before = (await read(t, { method: 'etcd' })).config;
    const next = (await read(t, { method: 'etcd' }, { defaults: ['http-check connect ssl'] })).config;
    assert.ok('config' in (merged(before, document) ?? {}));
    const kept = keepEqual(before, next);
    assert.notEqual(kept.services.get('api'), before.services.get('api'));
    assert.ok('refused' in (merged(kept, document) ?? {}));
  });

  it('keeps a service when nothing changed that a document goes on top of', async (t) => {
    const [before, next] = [await read(t, { method: 'etcd' }), await read(t, { method: 'etcd' })];
    assert.equal(keepEqual(before.config, next.config).services.get('api'), before.config.services.get('api'));
  });
});
