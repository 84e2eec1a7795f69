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
import { startRedis } from '../../support/servers/redis-server.ts';

type Redis = Awaited<ReturnType<typeof startRedis>>;

describe('the redis check', () => {
  let folder = '';
  let ca = '';
  let tlsPort = 0;
  let master: Redis;
  let replica: Redis;
  let orphan: Redis;
  const user = { username: 'nerve', password: 's3cret' };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartstack-redis-test-'));
    const authority = await makeAuthority(folder, 'authority');
    ca = authority.cert;
    const { cert, key } = await makeCertificate(folder, 'redis', { authority, names: ['IP:127.0.0.1'] });
    tlsPort = await freePort();
    const tls = ['--tls-port', `${tlsPort}`, '--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', ca];
    const acl = ['nerve on >s3cret ~nerve* +ping +exists +info', 'poor on >s3cret ~nothing* +ping +exists'];
    const users = acl.flatMap((rules) => ['--user', ...rules.split(' ')]);
    master = await startRedis([
      ...tls,
      '--tls-auth-clients',
      'no',
      '--unixsocket',
      join(folder, 'redis.sock'),
      ...users,
    ]);
    replica = await startRedis(['--replicaof', `127.0.0.1 ${master.port}`]);
    orphan = await startRedis(['--requirepass', 'hunter2', '--replicaof', `127.0.0.1 ${await freePort()}`]);
  });
  after(async () => {
    for (const server of [master, replica, orphan]) await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('passes when PING and EXISTS are answered, over TCP and over a unix socket', async () => {
    await assertPasses(await makeCheck('redis', {}, { port: master.port }));
    await assertPasses(await makeCheck('redis', { socket: join(folder, 'redis.sock') }));
  });

  it('logs in with a password, or as an ACL user', async () => {
    await assertPasses(await makeCheck('redis', user, { port: master.port }));
    await assertPasses(await makeCheck('redis', { password: 'hunter2' }, { port: orphan.port }));
    await assertFails(
      await makeCheck('redis', {}, { port: orphan.port }),
      /^redis at .*: NOAUTH Authentication required/,
    );
    const wrong = await makeCheck('redis', { ...user, password: 'wr0ng' }, { port: master.port });
    await assertFails(wrong, /^redis at [^ ]+: WRONGPASS (?!.*wr0ng)/);
    await assert.rejects(makeCheck('redis', { username: 'nerve' }), /username needs password/);
  });

  it('fails when the user may not read the key, and passes when the check reads none', async () => {
    const poor = { username: 'poor', password: 's3cret' };
    await assertFails(await makeCheck('redis', poor, { port: master.port }), /NOPERM/);
    await assertPasses(await makeCheck('redis', { ...poor, key: null }, { port: master.port }));
  });

  it('fails when the server has another role than configured', async () => {
    await assertPasses(await makeCheck('redis', { role: 'master' }, { port: master.port }));
    await assertPasses(await makeCheck('redis', { role: 'replica' }, { port: replica.port }));
    await assertFails(
      await makeCheck('redis', { role: 'replica' }, { port: master.port }),
      /role is master, expected replica$/,
    );
    await assertFails(
      await makeCheck('redis', { role: 'master' }, { port: replica.port }),
      /role is replica, expected master$/,
    );
  });

  it('fails a replica that has lost its master when it must be in sync', async () => {
    const synced = await makeCheck('redis', { synced: true }, { port: replica.port });
    await eventually(() => assertPasses(synced));
    await assertPasses(await makeCheck('redis', { synced: true }, { port: master.port }));
    const alone = { password: 'hunter2', key: null };
    await assertPasses(await makeCheck('redis', alone, { port: orphan.port }));
    await assertFails(
      await makeCheck('redis', { ...alone, synced: true }, { port: orphan.port }),
      /link to the master is down$/,
    );
  });

  it('speaks TLS', async () => {
    await assertPasses(await makeCheck('redis', { ssl: true, ssl_ca: ca }, { port: tlsPort }));
    await assertPasses(await makeCheck('redis', { ssl: true, ssl_verify: false }, { port: tlsPort }));
    await assertFails(await makeCheck('redis', { ssl: true }, { port: tlsPort }), /^redis at .*certificate/);
    await assertFails(
      await makeCheck('redis', { ssl: true, ssl_ca: ca, ssl_server_name: 'other.test' }, { port: tlsPort }),
      /other\.test/,
    );
  });

  it('fails when the connection is refused', async () => {
    const port = await freePort();
    await assertFails(await makeCheck('redis', {}, { port }), /^redis at 127\.0\.0\.1:\d+: connection refused$/);
    await assertFails(await makeCheck('redis', { socket: join(folder, 'none.sock') }), /none\.sock: no such file$/);
  });

  it('gives up on a mute peer, encrypted or not, at the deadline and at an abort', async () => {
    const mute = await startPeer(peers['a mute peer'] ?? assert.fail());
    try {
      for (const ssl of [false, true]) await assertGivesUp(await makeCheck('redis', { ssl }, { port: mute.port }));
      await eventually(() => assert.equal(mute.open, 0));
    } finally {
      await mute.close();
    }
  });
});
