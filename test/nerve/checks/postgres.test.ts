import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exec } from '../../../common/daemon/exec.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { assertFails, assertGivesUp, assertPasses, makeCheck } from '../../support/daemons/check.ts';
import { eventually } from '../../support/eventually.ts';
import { peers, startPeer } from '../../support/servers/bad-peers.ts';
import { makeAuthority, makeCertificate } from '../../support/servers/certificates.ts';
import { makePostgres, type Postgres, type PostgresData } from '../../support/servers/postgres-server.ts';
import { asOrdinaryUser } from '../../support/servers/server.ts';

describe('the postgres check', () => {
  let folder = '';
  let ca = '';
  let data: PostgresData;
  let primary: Postgres;
  let standby: Postgres;
  const user = { username: 'nerve', password: 's3cret' };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartstack-postgres-test-'));
    await chmod(folder, 0o755);
    const authority = await makeAuthority(folder, 'authority');
    ca = authority.cert;
    const { cert, key } = await makeCertificate(folder, 'postgres', { authority, names: ['IP:127.0.0.1'] });
    if (process.getuid?.() === 0) {
      // The server accepts only a key file that it owns and that others cannot read.
      const owner = await exec(asOrdinaryUser(['id', '-u']), { timeoutMs: 10_000 });
      const { code, stderr } = await exec(['chown', owner.stdout.trim(), key], { timeoutMs: 10_000 });
      assert.equal(code, 0, stderr);
    }
    data = await makePostgres("CREATE USER nerve PASSWORD 's3cret';");
    const tls = ['ssl=on', `ssl_cert_file=${cert}`, `ssl_key_file=${key}`];
    primary = await data.start({ settings: [...tls, 'log_connections=on', 'log_disconnections=on'] });
    standby = await data.start({ standby: true });
  });
  after(async () => {
    for (const server of [primary, standby]) await server?.stop();
    await data?.remove();
    await rm(folder, { recursive: true, force: true });
  });

  it('passes when it can log in, over TCP and over a unix socket', async () => {
    const check = await makeCheck('postgres', user, { port: primary.port });
    await eventually(() => assertPasses(check));
    await assertPasses(await makeCheck('postgres', { ...user, socket: primary.socket }));
    await assertPasses(await makeCheck('postgres', { ...user, database: 'template1' }, { port: primary.port }));
  });

  it('fails when it cannot log in, and keeps the password out of its reason', async () => {
    const wrong = await makeCheck('postgres', { ...user, password: 'wr0ng' }, { port: primary.port });
    await assertFails(wrong, /^postgres at 127\.0\.0\.1:\d+: password authentication failed for user "nerve"$/);
    const none = await makeCheck('postgres', { username: 'nerve' }, { port: primary.port });
    await assertFails(none, /^postgres at .*password/i);
    const elsewhere = await makeCheck('postgres', { ...user, database: 'shop' }, { port: primary.port });
    await assertFails(elsewhere, /: database "shop" does not exist$/);
  });

  it('fails when the server has another role than configured', async () => {
    const fine = await makeCheck('postgres', { ...user, role: 'standby' }, { port: standby.port });
    await eventually(() => assertPasses(fine));
    await assertPasses(await makeCheck('postgres', { ...user, role: 'primary' }, { port: primary.port }));
    await assertFails(
      await makeCheck('postgres', { ...user, role: 'primary' }, { port: standby.port }),
      /: role is standby, expected primary$/,
    );
    await assertFails(
      await makeCheck('postgres', { ...user, role: 'standby' }, { port: primary.port }),
      /: role is primary, expected standby$/,
    );
  });

  it('speaks TLS', async () => {
    const tls = { ...user, ssl: true };
    await assertPasses(await makeCheck('postgres', { ...tls, ssl_ca: ca }, { port: primary.port }));
    await assertPasses(await makeCheck('postgres', { ...tls, ssl_verify: false }, { port: primary.port }));
    await assertFails(await makeCheck('postgres', tls, { port: primary.port }), /^postgres at .*certificate/);
    const other = { ...tls, ssl_ca: ca, ssl_server_name: 'other.test' };
    await assertFails(await makeCheck('postgres', other, { port: primary.port }), /other\.test/);
    await assertFails(await makeCheck('postgres', tls, { port: standby.port }), /does not support SSL connections$/);
  });

  it('fails when the connection is refused', async () => {
    const port = await freePort();
    await assertFails(
      await makeCheck('postgres', user, { port }),
      /^postgres at 127\.0\.0\.1:\d+: connection refused$/,
    );
  });

  it('gives up on a mute peer at the deadline and at an abort', async () => {
    const mute = await startPeer(peers['a mute peer'] ?? assert.fail());
    try {
      for (const ssl of [false, true])
        await assertGivesUp(await makeCheck('postgres', { ...user, ssl }, { port: mute.port }));
      await eventually(() => assert.equal(mute.open, 0));
    } finally {
      await mute.close();
    }
  });
});
