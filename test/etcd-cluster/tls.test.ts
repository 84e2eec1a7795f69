import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect } from 'node:tls';
import { sleep } from '../../common/async/sleep.ts';
import { createEtcdClient } from '../../common/etcd/client/client.ts';
import type { EtcdTls } from '../../common/etcd/client/options.ts';
import type { LocalCluster } from '../../etcd-cluster/members/local-cluster.ts';
import type { LocalMember } from '../../etcd-cluster/members/member.ts';
import { type ClusterCertificates, clusterCertificates } from '../support/etcd/cluster-certificates.ts';
import { etcdVersions, portOf, put, testCluster, testLog } from '../support/etcd/etcd.ts';
import { eventually } from '../support/eventually.ts';

for (const version of etcdVersions) {
  describe(`three members of etcd ${version} with certificates`, () => {
    let folder: string;
    let cluster: LocalCluster;
    let certificates: ClusterCertificates;
    const signal = new AbortController();

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'etcd-cluster-tls-'));
      certificates = await clusterCertificates(folder);
      cluster = await testCluster(version, { tls: certificates.memberTls });
    });
    after(async () => {
      signal.abort();
      await cluster?.stopAll();
      await rm(folder, { recursive: true, force: true });
    });

    const client = (tls: EtcdTls, urls = cluster.urls) =>
      createEtcdClient({ hosts: urls, tls }, { log: testLog() }, signal.signal);
    const tryOnce = async (tls: EtcdTls, urls?: readonly string[]): Promise<void> => {
      await client(tls, urls).call((rpc) => rpc.kv.range({ key: Buffer.from('/a') }), {
        maxTries: 1,
        attemptMs: 10_000,
        totalMs: 10_000,
      });
    };
    /** Connects with a client's or peer's files. @returns the serial number of the certificate that the server shows */
    const shownSerial = async (port: number, files: { ca: string; cert: string; key: string }): Promise<string> => {
      const [ca, cert, key] = await Promise.all([readFile(files.ca), readFile(files.cert), readFile(files.key)]);
      const socket = connect({ host: '127.0.0.1', port, ca, cert, key });
      try {
        await once(socket, 'secureConnect');
        const { serialNumber } = socket.getPeerCertificate();
        // With TLS 1.3 a refused client is told after its own handshake.
        const ended = once(socket, 'close').then(() => 'closed');
        socket.on('error', () => {});
        if ((await Promise.race([ended, sleep(300)])) === 'closed') throw new Error('refused');
        return serialNumber;
      } finally {
        socket.destroy();
      }
    };

    it('serves clients of its authority', async () => {
      await put(client(certificates.client('nerve')), '/a', '1');
    });

    it('refuses other clients with a readable reason', async () => {
      const { ca, cert, key } = certificates.client('nerve');
      const stranger = await clusterCertificates(join(folder, 'stranger'));
      const other = stranger.client('nerve');
      await assert.rejects(tryOnce({ ca: other.ca, cert, key }), /unable to verify the first certificate|self.signed/);
      await assert.rejects(tryOnce({ ca, cert: other.cert, key: other.key }), /unknown ca|bad certificate/i);
      await assert.rejects(tryOnce({ ca }), /certificate required|bad certificate/i);
      await certificates.expire('operator', 'client');
      await assert.rejects(tryOnce(certificates.client('operator')), /certificate (?:has )?expired|bad certificate/i);
    });

    it('does not accept a client as a member', async () => {
      const port = (cluster.members[0] as LocalMember).peerPort;
      await shownSerial(port, certificates.files('etcd2', 'peer'));
      await assert.rejects(shownSerial(port, certificates.client('root')), /bad certificate|certificate required/);
    });

    it('shows renewed certificates to clients and members without a restart', async () => {
      await certificates.make('--renew-within', '31', '--new-keys');
      for (const member of cluster.members) {
        const wanted = await certificates.serial(member.name, 'server');
        assert.equal(await shownSerial(portOf(member.url), certificates.client('nerve')), wanted);
        const peer = await certificates.serial(member.name, 'peer');
        assert.equal(await shownSerial(member.peerPort, certificates.files('etcd1', 'peer')), peer);
      }
      await put(client(certificates.client('nerve')), '/a', '2');
    });

    it('refuses new clients at a member whose certificate has expired, until it is renewed', async () => {
      const { name, url } = cluster.members[0] as LocalMember;
      await certificates.expire(name, 'server');
      await assert.rejects(tryOnce(certificates.client('nerve'), [url]), /certificate has expired/);
      await certificates.make();
      await eventually(() => tryOnce(certificates.client('nerve'), [url]));
    });

    it('trusts another authority only after a restart of the member', async () => {
      const next = await clusterCertificates(join(folder, 'next'));
      await certificates.make('--also-trust', join(folder, 'next/ca/ca.pem'));
      const moved = { ...next.client('nerve'), ca: certificates.client('nerve').ca };
      const member = cluster.members[2] as LocalMember;
      await assert.rejects(tryOnce(moved, [member.url]), /unknown ca|bad certificate/i);
      await member.stop();
      await member.start();
      await cluster.ready();
      await tryOnce(moved, [member.url]);
    });
  });
}
