import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { validate } from '../../../../common/config/config.ts';
import { reasonOf } from '../../../../common/daemon/log.ts';
import { source } from '../../../../synapse/discovery/sources/zookeeper.ts';
import { makeSource, runSource, type SourceRun } from '../../../support/daemons/source-run.ts';
import { type Certificate, makeAuthority, makeCertificate } from '../../../support/servers/certificates.ts';
import { startZookeeper, type ZookeeperServer } from '../../../support/servers/zookeeper.ts';
import {
  digestEntry,
  openZookeeperWriter,
  permissions,
  recordOf,
  type ZookeeperWriter,
} from '../../../support/servers/zookeeper-writer.ts';
import { until } from '../../../support/until.ts';

describe('the source zookeeper, with TLS and access lists', () => {
  let folder: string;
  let authority: Certificate;
  let other: Certificate;
  let client: Certificate;
  let server: ZookeeperServer;
  let writer: ZookeeperWriter;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartstack-zookeeper-'));
    authority = await makeAuthority(folder, 'authority');
    other = await makeAuthority(folder, 'other');
    const own = await makeCertificate(folder, 'server', { authority, names: ['IP:127.0.0.1'] });
    client = await makeCertificate(folder, 'client', { authority, names: ['DNS:synapse'] });
    server = await startZookeeper({ ...own, ca: authority.cert });
    writer = await openZookeeperWriter(server.address);
    const reader = digestEntry('synapse', 'hunter2');
    // The writer, which is nobody, may make nodes here, and may not read them.
    const anyone = { permissions: permissions.create, scheme: 'world', id: 'anyone' };
    await writer.create('/secret', '', 'persistent', [reader, anyone]);
    await writer.create('/secret/a', recordOf('a'), 'persistent', [reader]);
    await writer.create('/open', '');
    await writer.create('/open/b', recordOf('b'));
  });
  after(async () => {
    writer?.vanish();
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const user = { username: 'synapse', password: 'hunter2' };
  const files = () => ({ ssl: true, ssl_ca: authority.cert, ssl_cert: client.cert, ssl_key: client.key });

  async function start(t: TestContext, options: object): Promise<SourceRun> {
    const run = await runSource('zookeeper', {
      path: '/open',
      hosts: [server.address],
      polling_interval_sec: 600,
      ...options,
    });
    t.after(() => run.stop().catch(() => {}));
    return run;
  }

  /** The reason why a source cannot read. */
  async function refusal(options: object): Promise<string> {
    const run = await runSource('zookeeper', { path: '/open', hosts: [server.address], ...options });
    return run.done.then(
      () => 'it has ended',
      (error: Error) => reasonOf(error),
    );
  }

  it('reads over TLS, with a certificate of its own', async (t) => {
    const run = await start(t, { hosts: [server.secureAddress], ...files() });
    await until(() => run.ids().length === 1);
    assert.deepEqual(run.ids(), ['b_b.test:80']);
    await writer.create('/open/c', recordOf('c'));
    await until(() => run.ids().length === 2);
  });

  it('reads nodes that only its user may read, also over TLS, and follows them', async (t) => {
    const plain = await start(t, { path: '/secret', ...user });
    const secure = await start(t, { path: '/secret', hosts: [server.secureAddress], ...files(), ...user });
    await until(() => plain.ids().length === 1 && secure.ids().length === 1);
    await writer.create('/secret/d', recordOf('d'), 'persistent', [digestEntry('synapse', 'hunter2')]);
    await until(() => plain.ids().length === 2 && secure.ids().length === 2);
  });

  it('reads the password in password_file again for each session', async (t) => {
    const file = join(folder, 'password');
    await writeFile(file, 'hunter3\n');
    const options = { path: '/secret', username: 'synapse', password_file: file };
    assert.match(await refusal(options), /not allowed: the node has an access list/);
    await writeFile(file, 'hunter2\n');
    const run = await start(t, options);
    await until(() => run.ids().length > 0);
    await rm(file);
    assert.match(await refusal(options), /cannot read the password file .*password/);
  });

  for (const [what, options, reason] of [
    ['without a user', {}, /not allowed: the node has an access list without the username and password/],
    ['with another password', { ...user, password: 'hunter3' }, /not allowed: the node has an access list/],
  ] as const) {
    it(`is refused ${what}, and says so without the password`, async () => {
      const said = await refusal({ path: '/secret', ...options });
      assert.match(said, reason);
      assert.ok(!said.includes('hunter'), said);
    });
  }

  it('does not speak to a server that it cannot trust, or that does not trust it', async () => {
    const hosts = [server.secureAddress];
    assert.match(
      await refusal({ hosts, ...files(), ssl_ca: other.cert }),
      /ZooKeeper at .*: no TLS: .*(self.signed|issuer|verify)/,
    );
    assert.match(await refusal({ hosts, ...files(), ssl_server_name: 'zk.example' }), /no TLS: .*zk\.example/);
    assert.match(await refusal({ hosts, ssl: true, ssl_ca: authority.cert }), /ZooKeeper at /);
    assert.match(await refusal({ hosts, ...files(), ssl_ca: join(folder, 'none.pem') }), /cannot read .*none\.pem/);
  });

  for (const [options, reason] of [
    [{ username: 'a' }, /username and password \(or password_file\) go together/],
    [{ password: 'a' }, /username and password \(or password_file\) go together/],
    [{ password_file: '/a' }, /username and password \(or password_file\) go together/],
    [{ username: 'a', password: 'b', password_file: '/a' }, /only one of password and password_file/],
    [{ username: 'a:b', password: 'c' }, /username must not have a colon/],
    [{ ssl_ca: '/ca.pem' }, /need ssl: true/],
    [{ ssl: true, ssl_cert: '/a.pem' }, /ssl_cert and ssl_key go together/],
  ] as const) {
    it(`refuses ${JSON.stringify(options)}`, async () => {
      await assert.rejects(async () => makeSource('zookeeper', { hosts: ['a'], path: '/x', ...options }), reason);
    });
  }

  it('warns of a password that goes to another host without TLS', () => {
    const said = (options: object) => {
      const checked = validate(source.schema, { path: '/x', ...user, ...options }, { path: '', problems: [] });
      return source.warnings?.(checked, 'api').map(({ option, message }) => `${option} ${message}`);
    };
    assert.deepEqual(said({ hosts: ['zk:2181', '127.0.0.1:1'] }), [
      'password goes over the network without encryption to zk:2181; use ssl: true',
    ]);
    assert.deepEqual(said({ hosts: ['zk:2181'], ssl: true }), []);
    assert.deepEqual(said({ hosts: ['127.0.0.1', '[::1]:1'] }), []);
  });
});
