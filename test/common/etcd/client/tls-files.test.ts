import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../common/config/problem.ts';
import { checkTlsFiles } from '../../../../common/etcd/client/tls.ts';
import { tempFolder } from '../../../support/temp-folder.ts';

describe('checkTlsFiles', () => {
  const hosts = ['https://a:1'];

  it('finds nothing wrong without TLS', () => {
    checkTlsFiles({ hosts }, 'nerve.yaml');
    checkTlsFiles({ hosts, tls: null }, 'nerve.yaml');
  });

  it('names each file that is missing or not PEM by its option', async (t) => {
    const ca = join(await tempFolder(t), 'ca.pem');
    await writeFile(ca, 'nothing');
    const tls = { ca, cert: '/nowhere/cert.pem', key: '/nowhere/key.pem' };
    assert.throws(
      () => checkTlsFiles({ hosts, tls }, 'nerve.yaml'),
      (error) => {
        assert.ok(error instanceof ConfigError);
        const lines = error.message.split('\n');
        assert.match(lines[0] ?? '', /^nerve\.yaml: etcd\.tls\.cert: cannot be read: ENOENT/);
        assert.match(lines[1] ?? '', /^nerve\.yaml: etcd\.tls\.key: cannot be read: ENOENT/);
        assert.equal(lines[2], 'nerve.yaml: etcd.tls.ca: has no certificate in PEM form');
        return true;
      },
    );
  });

  it('says that a PEM file is damaged', async (t) => {
    const ca = join(await tempFolder(t), 'ca.pem');
    await writeFile(ca, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    assert.throws(
      () => checkTlsFiles({ hosts, tls: { ca } }, 'nerve.yaml'),
      /etcd\.tls\.ca: has a certificate that cannot be read: /,
    );
  });
});
