import assert from 'node:assert/strict';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createEtcdClient } from '../../../../common/etcd/client/client.ts';
import type { EtcdTls } from '../../../../common/etcd/client/options.ts';
import { createReflector } from '../../../../common/etcd/watch/reflector.ts';
import type { LocalCluster } from '../../../../etcd-cluster/members/local-cluster.ts';
import { etcdVersions, put, testCluster, testLog } from '../../../support/etcd/etcd.ts';
import { createRecorder } from '../../../support/etcd/watch-recorder.ts';
import { eventually } from '../../../support/eventually.ts';
import { type Certificate, makeAuthority, makeCertificate } from '../../../support/servers/certificates.ts';

for (const version of etcdVersions) {
  describe(`TLS on etcd ${version}`, () => {
    let folder: string;
    let cluster: LocalCluster;
    let authority: Certificate;
    let stranger: Certificate;
    let client: Certificate;
    const signal = new AbortController();

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'etcd-tls-'));
      authority = await makeAuthority(folder, 'authority');
      stranger = await makeAuthority(folder, 'stranger');
      const server = await makeCertificate(folder, 'server', {
        authority,
        names: ['DNS:etcd.example', 'IP:127.0.0.1'],
      });
      client = await makeCertificate(folder, 'client', { authority, names: ['DNS:client.example'] });
      cluster = await testCluster(version, { size: 1, tls: { ...server, ca: authority.cert } });
    });

    after(async () => {
      signal.abort();
      await cluster?.stopAll();
      await rm(folder, { recursive: true, force: true });
    });

    const connect = (tls: EtcdTls, hosts = cluster.urls) =>
      createEtcdClient({ hosts, tls }, { log: testLog() }, signal.signal);

    const once = (tls: EtcdTls): Promise<unknown> =>
      connect(tls).call((rpc) => rpc.kv.range({ key: Buffer.from('a') }), { totalMs: 1_500 });

    it('authenticates both sides to each other', async () => {
      const user = connect({ ca: authority.cert, ...client });
      const recorder = createRecorder();
      void createReflector(user, { log: testLog() }, signal.signal).follow('/tls/', recorder.onChange, signal.signal);
      await put(user, '/tls/a', '1');
      await eventually(() => assert.deepEqual(recorder.puts, ['1']));
    });

    it('expects the configured server name instead of the one in the address', async () => {
      await once({ ca: authority.cert, ...client, serverName: 'etcd.example' });
      await assert.rejects(once({ ca: authority.cert, ...client, serverName: 'other.example' }), /altnames/);
    });

    it('refuses a server of another authority and says so', async () => {
      await assert.rejects(once({ ca: stranger.cert, ...client }), /unable to verify|self.signed|issuer/);
    });

    it('is refused without a client certificate', async () => {
      await assert.rejects(once({ ca: authority.cert }), /certificate|ECONNRESET|closed|dropped/);
    });

    it('names the file that is missing', async () => {
      await assert.rejects(
        once({ ca: join(folder, 'missing.pem') }),
        /cannot read the TLS file .*missing\.pem: it does not exist/,
      );
    });

    it('uses new certificate files without a restart', async () => {
      const ca = join(folder, 'rotated.pem');
      await copyFile(stranger.cert, ca);
      const user = connect({ ca, ...client });
      await assert.rejects(user.call((rpc) => rpc.kv.range({ key: Buffer.from('a') }), { totalMs: 1_000 }));
      await copyFile(authority.cert, ca);
      await eventually(() => user.call((rpc) => rpc.kv.range({ key: Buffer.from('a') })).then(() => {}));
    });
  });
}
