import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createConnection } from 'mysql2/promise';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { assertFails, assertGivesUp, assertPasses, makeCheck } from '../../support/daemons/check.ts';
import { eventually } from '../../support/eventually.ts';
import { peers, startPeer } from '../../support/servers/bad-peers.ts';
import { makeAuthority, makeCertificate } from '../../support/servers/certificates.ts';
import { type Mariadb, startMariadb } from '../../support/servers/mariadb.ts';

describe('the mysql check', () => {
  let folder = '';
  let ca = '';
  let source: Mariadb;
  let replica: Mariadb;
  const user = { username: 'nerve', password: 's3cret' };
  const host = '127.0.0.1';

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartstack-mysql-test-'));
    await chmod(folder, 0o755);
    const authority = await makeAuthority(folder, 'authority');
    ca = authority.cert;
    const { cert, key } = await makeCertificate(folder, 'mysql', { authority, names: ['IP:127.0.0.1'] });
    const users = [
      "CREATE USER nerve@'%' IDENTIFIED BY 's3cret'",
      "GRANT REPLICA MONITOR ON *.* TO nerve@'%'",
      "CREATE USER poor@'%' IDENTIFIED BY 's3cret'",
      "CREATE USER admin@'%' IDENTIFIED BY 's3cret'",
      "GRANT ALL ON *.* TO admin@'%'",
    ];
    const tls = [`--ssl-cert=${cert}`, `--ssl-key=${key}`, `--ssl-ca=${ca}`];
    source = await startMariadb(users, ['--server-id=1', '--log-bin', '--skip-name-resolve', ...tls]);
    replica = await startMariadb(users, ['--server-id=2', '--read-only', '--skip-name-resolve']);
  });
  after(async () => {
    for (const server of [source, replica]) await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Runs statements as a user with all privileges. */
  const run = async (server: Mariadb, ...statements: readonly string[]): Promise<Record<string, unknown>[]> => {
    const connection = await createConnection({ host, port: server.port, user: 'admin', password: 's3cret' });
    try {
      let rows: unknown = [];
      for (const sql of statements) [rows] = await connection.query(sql);
      return rows as Record<string, unknown>[];
    } finally {
      await connection.end();
    }
  };

  it('passes when it can log in, over TCP and over a unix socket', async () => {
    await assertPasses(await makeCheck('mysql', user, { port: source.port }));
    await assertPasses(await makeCheck('mysql', { ...user, socket: source.socket }));
    await assertPasses(await makeCheck('mysql', { ...user, database: 'information_schema' }, { port: source.port }));
  });

  it('closes the connection properly, so that the server counts no aborted client', async () => {
    const [before] = await run(source, "SHOW GLOBAL STATUS LIKE 'Aborted_clients'");
    const check = await makeCheck('mysql', user, { port: source.port });
    for (let i = 0; i < 10; i++) await assertPasses(check);
    const [since] = await run(source, "SHOW GLOBAL STATUS LIKE 'Aborted_clients'");
    assert.equal(since?.Value, before?.Value);
  });

  it('fails when it cannot log in', async () => {
    await assertFails(
      await makeCheck('mysql', { ...user, password: 'wr0ng' }, { port: source.port }),
      /^mysql at 127\.0\.0\.1:\d+: Access denied for user 'nerve'@.*(?<!wr0ng)$/,
    );
    const elsewhere = await makeCheck('mysql', { ...user, database: 'shop' }, { port: source.port });
    await assertFails(elsewhere, /to database 'shop'$/);
  });

  it('fails when read_only differs from the configured value', async () => {
    await assertPasses(await makeCheck('mysql', { ...user, read_only: false }, { port: source.port }));
    await assertPasses(await makeCheck('mysql', { ...user, read_only: true }, { port: replica.port }));
    await assertFails(
      await makeCheck('mysql', { ...user, read_only: false }, { port: replica.port }),
      /read_only is on, expected off$/,
    );
    await assertFails(
      await makeCheck('mysql', { ...user, read_only: true }, { port: source.port }),
      /read_only is off, expected on$/,
    );
  });

  it('fails a replica that does not replicate or lags too far behind', async () => {
    const check = await makeCheck('mysql', { ...user, max_lag: 5 }, { port: replica.port });
    await assertFails(check, /the server is not a replica$/);
    await assertFails(
      await makeCheck('mysql', { username: 'poor', password: 's3cret', max_lag: 5 }, { port: replica.port }),
      /SHOW REPLICA STATUS: Access denied/,
    );
    const from = `MASTER_HOST='${host}', MASTER_PORT=${source.port}, MASTER_USER='admin', MASTER_PASSWORD='s3cret'`;
    const position = await run(source, 'SHOW MASTER STATUS');
    const at = `MASTER_LOG_FILE='${position[0]?.File}', MASTER_LOG_POS=${position[0]?.Position}`;
    await run(replica, `CHANGE MASTER TO ${from}, ${at}`);
    await assertFails(check, /replication is not running$/);
    await run(replica, 'START SLAVE');
    await eventually(() => assertPasses(check));
    await run(replica, 'STOP SLAVE', 'CHANGE MASTER TO MASTER_DELAY=3600', 'START SLAVE');
    await run(source, 'CREATE DATABASE shop');
    await eventually(() => assertFails(check, /\d+ s behind the source, max_lag is 5s$/));
  });

  it('speaks TLS', async () => {
    const tls = { ...user, ssl: true };
    await assertPasses(await makeCheck('mysql', { ...tls, ssl_ca: ca }, { port: source.port }));
    await assertPasses(await makeCheck('mysql', { ...tls, ssl_verify: false }, { port: source.port }));
    await assertFails(await makeCheck('mysql', tls, { port: source.port }), /^mysql at .*certificate/);
    const other = { ...tls, ssl_ca: ca, ssl_server_name: 'other.test' };
    await assertFails(await makeCheck('mysql', other, { port: source.port }), /other\.test/);
    await assertFails(await makeCheck('mysql', tls, { port: replica.port }), /does not support secure connection/);
  });

  it('fails when the connection is refused', async () => {
    const port = await freePort();
    await assertFails(
      await makeCheck('mysql', user, { port }),
      /^cannot connect to 127\.0\.0\.1:\d+: connection refused$/,
    );
  });

  it('gives up on a mute peer at the deadline and at an abort', async () => {
    const mute = await startPeer(peers['a mute peer'] ?? assert.fail());
    try {
      for (const ssl of [false, true])
        await assertGivesUp(await makeCheck('mysql', { ...user, ssl }, { port: mute.port }));
      await eventually(() => assert.equal(mute.open, 0));
    } finally {
      await mute.close();
    }
  });
});
