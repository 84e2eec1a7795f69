import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createEtcdClient, type EtcdClient } from '../../../common/etcd/client/client.ts';
import type { Rpc } from '../../../common/etcd/client/connection.ts';
import { prefixRange } from '../../../common/etcd/client/key-value.ts';
import type { EtcdOptions } from '../../../common/etcd/client/options.ts';
import { Keepalive } from '../../../common/etcd/keys/keepalive.ts';
import type { LocalCluster } from '../../../etcd-cluster/members/local-cluster.ts';
import { type ClusterCertificates, clusterCertificates } from '../../support/etcd/cluster-certificates.ts';
import { clusterCommand } from '../../support/etcd/cluster-command.ts';
import { dump, etcdVersions, put, testCluster, testLog } from '../../support/etcd/etcd.ts';
import { root } from '../../support/repository.ts';
import { tempFolder } from '../../support/temp-folder.ts';

/** The lowest cost of bcrypt, because the tests need no security. */
const flags = ['--bcrypt-cost=4'];
const names = ['nerve-api', 'synapse', 'operator'] as const;
const users = {
  'nerve-api': { write: ['/nerve/services/api/'], password: 'n' },
  synapse: {
    read: ['/nerve/services/', '/smartstack/config/', '/smartstack/fleet/requests/'],
    write: ['/smartstack/fleet/proxies/', '/smartstack/fleet/acks/'],
    password: 's',
  },
  operator: {
    read: ['/smartstack/fleet/'],
    write: ['/nerve/services/', '/smartstack/config/', '/smartstack/fleet/requests/'],
    password: 'o',
  },
};
/** The file that we ship. */
const accessFile = join(root, 'etcd-cluster/access.yaml');
/** How many ranges of keys the three users have rights to. */
const rangesOfUsers = 10;
const mine = '/nerve/services/api/a';
const others = '/nerve/services/web/a';
const configuration = '/smartstack/config/api';
const outside = '/config';
const request = '/smartstack/fleet/requests/r';
const ack = '/smartstack/fleet/acks/r/host';
const proxy = '/smartstack/fleet/proxies/host';

const key = (name: string): { key: Buffer } => ({ key: Buffer.from(name) });
const range = (prefix: string) => ({ key: prefixRange(prefix).key, range_end: prefixRange(prefix).end });

/** The rights of nerve-api, synapse and operator; `3.4`: allowed on 3.4 only, because newer releases deny it. */
const rights: readonly (readonly [what: string, call: (rpc: Rpc) => Promise<unknown>, ...may: (boolean | '3.4')[]])[] =
  [
    ['read a key of its service', (rpc) => rpc.kv.range(key(mine)), true, true, true],
    ['write it', (rpc) => rpc.kv.put({ ...key(mine), value: Buffer.from('x') }), true, false, true],
    ['delete it', (rpc) => rpc.kv.deleteRange(key(mine)), true, false, true],
    ['read a key of another service', (rpc) => rpc.kv.range(key(others)), false, true, true],
    ['write it', (rpc) => rpc.kv.put({ ...key(others), value: Buffer.from('x') }), false, false, true],
    ['delete it', (rpc) => rpc.kv.deleteRange(key(others)), false, false, true],
    [
      'write it in a transaction beside its own',
      (rpc) =>
        rpc.kv.txn({
          compare: [],
          success: [mine, others].map((name) => ({ request_put: { ...key(name), value: Buffer.from('x') } })),
          failure: [],
        }),
      ...[false, false, true],
    ],
    ['list all services', (rpc) => rpc.kv.range(range('/nerve/services/')), false, true, true],
    ['delete all services', (rpc) => rpc.kv.deleteRange(range('/nerve/services/')), false, false, true],
    ['read a published configuration', (rpc) => rpc.kv.range(key(configuration)), false, true, true],
    ['write it', (rpc) => rpc.kv.put({ ...key(configuration), value: Buffer.from('{}') }), false, false, true],
    ['delete it', (rpc) => rpc.kv.deleteRange(key(configuration)), false, false, true],
    ['ask the fleet', (rpc) => rpc.kv.put({ ...key(request), value: Buffer.from('{}') }), false, false, true],
    ['read what is asked', (rpc) => rpc.kv.range(range('/smartstack/fleet/requests/')), false, true, true],
    ['remove what is asked', (rpc) => rpc.kv.deleteRange(key(request)), false, false, true],
    ['acknowledge', (rpc) => rpc.kv.put({ ...key(ack), value: Buffer.from('{}') }), false, true, false],
    ['read the acknowledgements', (rpc) => rpc.kv.range(range('/smartstack/fleet/acks/')), false, true, true],
    ['remove an acknowledgement', (rpc) => rpc.kv.deleteRange(key(ack)), false, true, false],
    ['take part in the fleet', (rpc) => rpc.kv.put({ ...key(proxy), value: Buffer.from('{}') }), false, true, false],
    ['read who takes part', (rpc) => rpc.kv.range(range('/smartstack/fleet/proxies/')), false, true, true],
    ['write elsewhere in the fleet', (rpc) => rpc.kv.put({ ...key('/smartstack/fleet/x') }), false, false, false],
    ['read a key elsewhere', (rpc) => rpc.kv.range(key(outside)), false, false, false],
    ['write it', (rpc) => rpc.kv.put({ ...key(outside), value: Buffer.from('x') }), false, false, false],
    ['delete it', (rpc) => rpc.kv.deleteRange(key(outside)), false, false, false],
    ['list everything', (rpc) => rpc.kv.range(range('')), false, false, false],
    ['be granted a lease and revoke it', grantAndRevoke, true, true, true],
    ["revoke the lease of another service's keys", (rpc) => rpc.lease.leaseRevoke({ ID: '88' }), false, false, true],
    ['list all leases', (rpc) => rpc.lease.leaseLeases({}), '3.4', '3.4', '3.4'],
    ['drop the history', (rpc) => rpc.kv.compact({ revision: '1' }), '3.4', '3.4', '3.4'],
    ['add a member', (rpc) => rpc.cluster.memberAdd({ peerURLs: ['http://127.0.0.1:1'] }), false, false, false],
    ['make a user', (rpc) => rpc.auth.userAdd({ name: 'evil', password: 'x' }), false, false, false],
    ['see the users', (rpc) => rpc.auth.userList(), false, false, false],
    ['turn authentication off', (rpc) => rpc.auth.authDisable({}), false, false, false],
  ];

async function grantAndRevoke(rpc: Rpc): Promise<void> {
  const { ID } = await rpc.lease.leaseGrant({ TTL: 60 });
  await rpc.lease.leaseRevoke({ ID });
}

for (const version of etcdVersions) {
  describe(`etcd-cluster/access with passwords on etcd ${version}`, () => {
    let folder: string;
    let cluster: LocalCluster;
    let root: EtcdClient;
    const signal = new AbortController();

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'etcd-access-'));
      cluster = await testCluster(version, { size: 1, flags });
      root = client({ username: 'root', password: 'r' });
    });
    after(async () => {
      signal.abort();
      await cluster?.stopAll();
      await rm(folder, { recursive: true, force: true });
    });

    const client = (who: Omit<EtcdOptions, 'hosts'>): EtcdClient =>
      createEtcdClient({ hosts: cluster.urls, ...who }, { log: testLog() }, signal.signal);
    const clients = new Map<string, EtcdClient>();
    const as = (name: (typeof names)[number], password: string = users[name].password): EtcdClient => {
      const known = clients.get(name + password) ?? client({ username: name, password });
      clients.set(name + password, known);
      return known;
    };
    /** @returns the lines that the command prints */
    const apply = async (wanted: object, ...options: readonly string[]): Promise<readonly string[]> => {
      const file = join(folder, 'access.json');
      await writeFile(file, JSON.stringify(wanted));
      const { code, stdout, stderr } = await clusterCommand('access', [...options, file]);
      assert.deepEqual([code, stderr], [0, '']);
      return stdout.trim().split('\n');
    };
    const etcd = (): object => ({ hosts: cluster.urls, username: 'root', password: 'r' });

    it('prints its steps with --dry-run and changes nothing', async () => {
      const steps = await apply({ etcd: etcd(), users }, '--dry-run');
      assert.equal(steps.at(-1), 'enable authentication');
      assert.equal(steps.length, 3 + 3 * 3 + rangesOfUsers + 1);
      assert.deepEqual((await root.call((rpc) => rpc.auth.userList())).users, []);
    });

    it('makes users and roles, and changes nothing when it runs again', async () => {
      await put(root, outside, 'kept');
      assert.equal((await apply({ etcd: etcd(), users })).length, 3 + 3 * 3 + rangesOfUsers + 1);
      assert.deepEqual(await apply({ etcd: etcd(), users }), ['nothing to do']);
      await assert.rejects(
        client({}).call((rpc) => rpc.kv.range(key(mine)), { maxTries: 1 }),
        /user name is empty|permission denied/,
      );
    });

    for (const [what, call, ...may] of rights) {
      for (const [index, name] of names.entries()) {
        const allowed = may[index] === true || may[index] === version;
        it(`lets ${name} ${allowed ? '' : 'not '}${what}`, async () => {
          if (/lease/.test(what)) await leaseElsewhere();
          const done = as(name).call(call, { maxTries: 1 });
          if (/drop the history/.test(what) && allowed) {
            // For the second user the history has been dropped already.
            await done.catch((error) => assert.match(error.message, /compacted/));
          } else if (allowed) await done;
          else await assert.rejects(done, /permission denied/);
        });
      }
    }

    /** Puts a key of another service, and a key outside all services, each under a lease. */
    const leaseElsewhere = async (): Promise<void> => {
      for (const [ID, name] of [['88', others] as const, ['89', `${outside}/leased`] as const]) {
        await root.call((rpc) => rpc.lease.leaseGrant({ TTL: 3600, ID })).catch(() => {});
        await root.call((rpc) => rpc.kv.put({ ...key(name), value: Buffer.from('x'), lease: ID }));
      }
    };

    it(`lets a nerve ${version === '3.4' ? '' : 'not '}keep the lease of other services' keys alive`, async () => {
      await leaseElsewhere();
      const keepalive = new Keepalive(as('nerve-api'), signal.signal);
      const renewed = keepalive.renew('88', 5_000);
      if (version === '3.4') assert.equal(await renewed, 3600);
      else await assert.rejects(renewed, /permission denied/);
      keepalive.close();
    });

    it('revokes rights that the file no longer grants, and changes passwords', async () => {
      const changed = { ...users, operator: { read: ['/nerve/services/web/'], password: 'new' } };
      const steps = await apply({ etcd: etcd(), users: changed });
      assert.deepEqual(steps, [
        'grant role operator: read /nerve/services/web/',
        'revoke role operator: read and write /nerve/services/',
        'revoke role operator: read and write /smartstack/config/',
        'revoke role operator: read /smartstack/fleet/',
        'revoke role operator: read and write /smartstack/fleet/requests/',
        'set the password of user operator',
      ]);
      await assert.rejects(put(as('operator', 'new'), others, 'x'), /permission denied/);
      assert.deepEqual(Object.keys(await dump(as('operator', 'new'), '/nerve/services/web/')), [others]);
      await assert.rejects(
        as('operator').call((rpc) => rpc.kv.range(key(others))),
        /authentication failed/,
      );
    });

    it('does not touch the data', async () => {
      assert.equal((await dump(root, outside))[outside], 'kept');
    });
  });

  describe(`etcd-cluster/access with certificates on etcd ${version}`, () => {
    let folder: string;
    let cluster: LocalCluster;
    let certificates: ClusterCertificates;
    const signal = new AbortController();

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'etcd-access-'));
      certificates = await clusterCertificates(folder, '--access', accessFile);
      cluster = await testCluster(version, { size: 1, flags, tls: certificates.memberTls });
    });
    after(async () => {
      signal.abort();
      await cluster?.stopAll();
      await rm(folder, { recursive: true, force: true });
    });

    const as = (name: string): EtcdClient =>
      createEtcdClient({ hosts: cluster.urls, tls: certificates.client(name) }, { log: testLog() }, signal.signal);

    it('works with access.yaml, and gives each certificate the rights of the user that it names', async () => {
      const env = { ETCD_HOSTS: cluster.urls.join(), ETCD_TLS: join(folder, 'tls') };
      for (const last of ['enable authentication', 'nothing to do']) {
        const { code, stdout, stderr } = await clusterCommand('access', [accessFile], env);
        assert.deepEqual([code, stderr, stdout.trim().split('\n').at(-1)], [0, '', last]);
      }
      await put(as('nerve-api'), mine, '1');
      assert.deepEqual(await dump(as('synapse'), '/nerve/services/'), { [mine]: '1' });
      await assert.rejects(put(as('synapse'), mine, '2'), /permission denied/);
      await put(as('operator'), mine, '3');
      await assert.rejects(put(as('nerve-api'), others, '1'), /permission denied/);
      await assert.rejects(put(as('nerve-web'), mine, '1'), /permission denied/);
      await put(as('nerve-web'), others, '1');
      for (const name of ['nerve-api', 'nerve-web', 'synapse']) {
        await assert.rejects(put(as(name), configuration, '{}'), /permission denied/);
        await assert.rejects(put(as(name), outside, '1'), /permission denied/);
      }
      await assert.rejects(dump(as('nerve-api'), '/smartstack/config/'), /permission denied/);
      await put(as('operator'), configuration, '{}');
      assert.deepEqual(await dump(as('synapse'), '/smartstack/config/'), { [configuration]: '{}' });
      // Who asks, takes part and acknowledges.
      await put(as('nerve-api'), request, '{}');
      await put(as('operator'), request, '{}');
      await put(as('synapse'), proxy, '{}');
      await put(as('synapse'), ack, '{}');
      for (const name of ['nerve-api', 'operator']) {
        assert.deepEqual(await dump(as(name), '/smartstack/fleet/'), { [request]: '{}', [proxy]: '{}', [ack]: '{}' });
        await assert.rejects(put(as(name), ack, '{}'), /permission denied/);
        await assert.rejects(put(as(name), proxy, '{}'), /permission denied/);
      }
      await assert.rejects(put(as('synapse'), request, '{}'), /permission denied/);
      await put(as('root'), outside, '1');
      const member = certificates.files('etcd1', 'server');
      const server = createEtcdClient({ hosts: cluster.urls, tls: member }, { log: testLog() }, signal.signal);
      const read = server.call((rpc) => rpc.kv.range(key(mine)), { maxTries: 1 });
      await assert.rejects(read, /permission denied|user name is empty/);
    });
  });
}

describe('etcd-cluster/access', () => {
  it('disables authentication again when etcd does not accept it as root', async (t) => {
    const cluster = await testCluster('3.5', { size: 1, flags });
    t.after(() => cluster.stopAll());
    const file = join(await tempFolder(t), 'access.json');
    await writeFile(file, JSON.stringify({ etcd: { hosts: cluster.urls }, users }));
    const { code, stderr } = await clusterCommand('access', [file]);
    assert.equal(code, 1);
    assert.match(stderr, /authentication is disabled again, because etcd does not accept this client as root/);
    const ended = new AbortController();
    const anyone = createEtcdClient({ hosts: cluster.urls }, { log: testLog() }, ended.signal);
    await put(anyone, mine, '1');
    ended.abort();
  });

  const wrong: readonly (readonly [file: object, message: RegExp])[] = [
    [{ users: { a: {} } }, /users\.a: has no rights: add read or write/],
    [{ users: { a: { reed: ['/'] } } }, /users\.a\.reed: unknown key; did you mean read\?/],
    [{ users: { root: { read: ['/'] } } }, /users\.root: root has all rights/],
    [{ users: { a: { read: '' } } }, /users\.a\.read: must be a list of keys/],
    [{ roles: {} }, /roles: unknown key/],
    [{ users: {}, etcd: { hosts: 'x', username: 'root' } }, /etcd: username: "root" needs a password/],
  ];
  for (const [content, message] of wrong) {
    it(`refuses ${JSON.stringify(content)}`, async (t) => {
      const file = join(await tempFolder(t), 'access.json');
      await writeFile(file, JSON.stringify(content));
      const { code, stderr } = await clusterCommand('access', [file]);
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
    });
  }
});
