import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createServer, type Server } from 'node:tls';
import { exec } from '../../../common/daemon/exec.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { assertFails, assertGivesUp, assertPasses, makeCheck } from '../../support/daemons/check.ts';
import { eventually, patienceMs } from '../../support/eventually.ts';
import { peers, startPeer } from '../../support/servers/bad-peers.ts';
import { makeAuthority, makeCertificate } from '../../support/servers/certificates.ts';

async function openssl(args: readonly string[]): Promise<void> {
  const { code, stderr } = await exec(['openssl', ...args], { timeoutMs: patienceMs });
  assert.equal(code, 0, stderr);
}

describe('the tls check', () => {
  let folder = '';
  let ca = '';
  const servers: Server[] = [];

  /** A server whose certificate is good for two days, for 127.0.0.1 and api.test. */
  const serve = async (cert: string, key: string, options: object = {}): Promise<number> => {
    const server = createServer({ cert: await readFile(cert), key: await readFile(key), ...options });
    server.on('tlsClientError', () => {});
    server.on('secureConnection', (socket) => socket.on('error', () => {}));
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as { port: number }).port;
  };

  let port = 0;
  let asking = 0;
  let expired = { port: 0, ca: '' };
  let client = { cert: '', key: '' };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartstack-tls-'));
    const authority = await makeAuthority(folder, 'authority');
    ca = authority.cert;
    const server = await makeCertificate(folder, 'server', { authority, names: ['IP:127.0.0.1', 'DNS:api.test'] });
    client = await makeCertificate(folder, 'client', { authority, names: ['DNS:nerve.test'] });
    port = await serve(server.cert, server.key);
    asking = await serve(server.cert, server.key, {
      requestCert: true,
      ca: await readFile(ca),
      maxVersion: 'TLSv1.2',
    });
    const old = { cert: join(folder, 'old.pem'), key: join(folder, 'old-key.pem') };
    const [request, extensions] = [join(folder, 'old.csr'), join(folder, 'old.ext')];
    await writeFile(extensions, 'subjectAltName=IP:127.0.0.1\n');
    const wanted = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=old'];
    await openssl(['req', '-new', ...wanted, '-keyout', old.key, '-out', request]);
    const signing = ['-signkey', old.key, '-days', '-1', '-extfile', extensions];
    await openssl(['x509', '-req', '-in', request, ...signing, '-out', old.cert]);
    expired = { port: await serve(old.cert, old.key), ca: old.cert };
  });
  after(async () => {
    for (const server of servers) server.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('passes when the certificate is trusted and names the host', async () => {
    await assertPasses(await makeCheck('tls', { ssl_ca: ca }, { port }));
    await assertPasses(await makeCheck('tls', { ssl_ca: ca, ssl_server_name: 'api.test' }, { port }));
  });

  it('fails when the certificate is not trusted, unless verification is off', async () => {
    await assertFails(await makeCheck('tls', {}, { port }), /^no TLS: unable to (verify|get)|^no TLS: self-signed/);
    await assertPasses(await makeCheck('tls', { ssl_verify: false }, { port }));
  });

  it('fails when the certificate names another host', async () => {
    const check = await makeCheck('tls', { ssl_ca: ca, ssl_server_name: 'other.test' }, { port });
    await assertFails(check, /other\.test\. is not in the cert's altnames/);
  });

  it('fails when the certificate expires within min_days, and passes otherwise', async () => {
    await assertFails(
      await makeCheck('tls', { ssl_ca: ca, min_days: 14 }, { port }),
      /^certificate expires in 1 day, min_days is 14$/,
    );
    await assertPasses(await makeCheck('tls', { ssl_ca: ca, min_days: 1 }, { port }));
  });

  it('fails an expired certificate, trusted or not', async () => {
    const trusting = await makeCheck('tls', { ssl_ca: expired.ca }, { port: expired.port });
    await assertFails(trusting, /certificate has expired/);
    const careless = await makeCheck('tls', { ssl_verify: false }, { port: expired.port });
    await assertFails(careless, /^certificate expired on /);
  });

  it('presents its own certificate to a server that asks for one', async () => {
    await assertFails(await makeCheck('tls', { ssl_ca: ca }, { port: asking }), /^no TLS: .*(handshake|reset|closed)/);
    const own = { ssl_cert: client.cert, ssl_key: client.key };
    await assertPasses(await makeCheck('tls', { ssl_ca: ca, ...own }, { port: asking }));
    await assert.rejects(makeCheck('tls', { ssl_cert: client.cert }), /ssl_cert and ssl_key go together/);
  });

  it('fails when a file cannot be read', async () => {
    await assertFails(
      await makeCheck('tls', { ssl_ca: join(folder, 'none.pem') }, { port }),
      /^cannot read .*none\.pem/,
    );
  });

  it('fails when the connection is refused, or the server speaks no TLS', async () => {
    const closed = await freePort();
    await assertFails(
      await makeCheck('tls', {}, { port: closed }),
      new RegExp(`^cannot connect to 127\\.0\\.0\\.1:${closed}: connection refused$`),
    );
    const plain = await startPeer((socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    try {
      await assertFails(await makeCheck('tls', {}, { port: plain.port }), /^no TLS: .*wrong version number/i);
    } finally {
      await plain.close();
    }
  });

  it('gives up on a mute peer at the deadline and at an abort', async () => {
    const mute = await startPeer(peers['a mute peer'] ?? assert.fail());
    try {
      await assertGivesUp(await makeCheck('tls', {}, { port: mute.port }));
      await eventually(() => assert.equal(mute.open, 0));
    } finally {
      await mute.close();
    }
  });
});
