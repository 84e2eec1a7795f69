import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { assertFails, assertGivesUp, assertPasses, makeCheck } from '../../support/daemons/check.ts';
import { eventually } from '../../support/eventually.ts';
import { peers, startPeer } from '../../support/servers/bad-peers.ts';
import { makeAuthority, makeCertificate } from '../../support/servers/certificates.ts';
import { startRabbitmq } from '../../support/servers/rabbitmq-server.ts';

describe('the rabbitmq check', () => {
  let folder = '';
  let ca = '';
  let tlsPort = 0;
  let server: Awaited<ReturnType<typeof startRabbitmq>>;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartstack-rabbitmq-test-'));
    const authority = await makeAuthority(folder, 'authority');
    ca = authority.cert;
    const { cert, key } = await makeCertificate(folder, 'rabbitmq', { authority, names: ['IP:127.0.0.1'] });
    tlsPort = await freePort();
    const all = { configure: '.*', write: '.*', read: '.*' };
    server = await startRabbitmq({
      settings: [
        `listeners.ssl.1 = 127.0.0.1:${tlsPort}`,
        ...Object.entries({ cacertfile: ca, certfile: cert, keyfile: key, verify: 'verify_none' }).map(
          ([name, value]) => `ssl_options.${name} = ${value}`,
        ),
      ],
      definitions: {
        users: [
          { name: 'guest', password: 'guest', tags: '' },
          { name: 'nerve', password: 's3cret', tags: '' },
        ],
        vhosts: [{ name: '/' }, { name: 'shop/eu' }],
        permissions: [
          { user: 'guest', vhost: '/', ...all },
          { user: 'nerve', vhost: 'shop/eu', ...all },
        ],
        queues: [{ name: 'orders', vhost: 'shop/eu', durable: true, auto_delete: false, arguments: {} }],
      },
    });
  });
  after(async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const shop = { username: 'nerve', password: 's3cret', vhost: 'shop/eu' };

  it('passes when it can log in to the virtual host', async () => {
    await assertPasses(await makeCheck('rabbitmq', {}, { port: server.port }));
    await assertPasses(await makeCheck('rabbitmq', shop, { port: server.port }));
  });

  it('closes the connection properly, so that the server logs no warning', async () => {
    const from = server.output().length;
    for (let i = 0; i < 5; i++) await assertPasses(await makeCheck('rabbitmq', shop, { port: server.port }));
    await assertFails(await makeCheck('rabbitmq', { ...shop, vhost: 'none' }, { port: server.port }), /./);
    await eventually(() => assert.match(server.output().slice(from), /vhost none not found/));
    assert.doesNotMatch(server.output().slice(from), /unexpectedly closed/);
  });

  it('fails when it cannot log in, and keeps the password out of its reason', async () => {
    const wrong = await makeCheck('rabbitmq', { ...shop, password: 'wr0ng' }, { port: server.port });
    await assertFails(wrong, /^rabbitmq at 127\.0\.0\.1:\d+: (?!.*wr0ng).*ACCESS.REFUSED/);
    await assertFails(
      await makeCheck('rabbitmq', { ...shop, vhost: 'none' }, { port: server.port }),
      /there is no virtual host none, or user nerve may not use it$/,
    );
    await assertFails(
      await makeCheck('rabbitmq', { ...shop, vhost: '/' }, { port: server.port }),
      /there is no virtual host \/, or user nerve may not use it$/,
    );
  });

  it('fails when the queue does not exist', async () => {
    await assertPasses(await makeCheck('rabbitmq', { ...shop, queue: 'orders' }, { port: server.port }));
    await assertFails(
      await makeCheck('rabbitmq', { ...shop, queue: 'bills' }, { port: server.port }),
      /NOT.FOUND.*no queue 'bills' in vhost 'shop\/eu'/,
    );
  });

  it('sends a message through the server with round_trip', async () => {
    const check = await makeCheck('rabbitmq', { round_trip: true }, { port: server.port });
    for (let i = 0; i < 5; i++) await assertPasses(check);
    await assertPasses(await makeCheck('rabbitmq', { queue: 'nerve' }, { port: server.port }));
  });

  it('speaks TLS', async () => {
    await assertPasses(await makeCheck('rabbitmq', { ...shop, ssl: true, ssl_ca: ca }, { port: tlsPort }));
    await assertPasses(await makeCheck('rabbitmq', { ...shop, ssl: true, ssl_verify: false }, { port: tlsPort }));
    await assertFails(
      await makeCheck('rabbitmq', { ...shop, ssl: true }, { port: tlsPort }),
      /^rabbitmq at .*certificate/,
    );
    const other = { ...shop, ssl: true, ssl_ca: ca, ssl_server_name: 'other.test' };
    await assertFails(await makeCheck('rabbitmq', other, { port: tlsPort }), /other\.test/);
  });

  it('fails when the connection is refused', async () => {
    const port = await freePort();
    await assertFails(await makeCheck('rabbitmq', {}, { port }), /^rabbitmq at 127\.0\.0\.1:\d+: connection refused$/);
  });

  it('gives up on a mute peer at the deadline and at an abort', async () => {
    const mute = await startPeer(peers['a mute peer'] ?? assert.fail());
    try {
      for (const ssl of [false, true]) await assertGivesUp(await makeCheck('rabbitmq', { ssl }, { port: mute.port }));
      await eventually(() => assert.equal(mute.open, 0));
    } finally {
      await mute.close();
    }
  });
});
