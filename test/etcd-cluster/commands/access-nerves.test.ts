import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { createEtcdClient, type EtcdClient } from '../../../common/etcd/client/client.ts';
import type { Rpc } from '../../../common/etcd/client/connection.ts';
import { prefixRange } from '../../../common/etcd/client/key-value.ts';
import type { LocalCluster } from '../../../etcd-cluster/members/local-cluster.ts';
import { startDaemon } from '../../support/daemons/daemon.ts';
import { clusterCommand } from '../../support/etcd/cluster-command.ts';
import { dump, etcdVersions, testCluster, testLog } from '../../support/etcd/etcd.ts';
import { eventually } from '../../support/eventually.ts';
import { tempFolder } from '../../support/temp-folder.ts';

/** The lowest cost of bcrypt, because the tests need no security. */
const flags = ['--bcrypt-cost=4'];
const nerves = [
  { user: 'nerve-api', services: ['api'], password: 'p' },
  { user: 'nerve-db', paths: ['/data/db/'], fleet: '/teams/db/', password: 'p' },
  { user: 'host-1', services: ['api', 'web'], instance_id: 'h1', password: 'p' },
  { user: 'host-2', services: ['api', 'web'], instance_id: 'h2', fleet: false, password: 'p' },
];
/** Who asks: a user, or a client that does not prove itself. */
const names = ['nerve-api', 'host-1', 'nobody'] as const;

const api = '/nerve/services/api/';
const value = Buffer.from('{}');
const at = (name: string): { key: Buffer } => ({ key: Buffer.from(name) });
const range = (prefix: string) => ({ key: prefixRange(prefix).key, range_end: prefixRange(prefix).end });
const puts = (name: string, lease?: string) => (rpc: Rpc) =>
  rpc.kv.put({ ...at(name), value, ...(lease !== undefined && { lease }) });
const putsInTxn = (name: string, lease: string) => (rpc: Rpc) =>
  rpc.kv.txn({ compare: [], success: [{ request_put: { ...at(name), value, lease } }], failure: [] });
/** The lease of host-2 with a key of host-2 of the service web, and one without keys. */
const [othersLease, emptyLease] = ['77', '78'];
const noSpace = 1 as const;

/**
 * May each of `names` do it? `3.4`: only on 3.4, because newer releases deny it. This is the table of security.md: what etcd
 * prevents, and what it does not.
 */
const rights: readonly (readonly [what: string, call: (rpc: Rpc) => Promise<unknown>, ...may: (boolean | '3.4')[]])[] =
  [
    ['announce an instance of its own', puts(`${api}h1_10.0.0.1:80`), true, true, false],
    ['announce it at any depth', puts(`${api}h1_/deep/h1_10.0.0.1:80`), true, true, false],
    ['announce any address under its name', puts(`${api}h1_192.0.2.1:80`), true, true, false],
    ['announce without a lease', puts(`${api}h1_10.0.0.1:81`), true, true, false],
    ['write 1.4 MB', (rpc) => rpc.kv.put({ ...at(`${api}h1_big`), value: Buffer.alloc(1_400_000) }), true, true, false],
    ['say down for another host of its service', puts(`${api}h2_10.0.0.2:80`), true, false, false],
    ['delete the key of another host', (rpc) => rpc.kv.deleteRange(at(`${api}h2_10.0.0.2:80`)), true, false, false],
    ['delete all keys of its service', (rpc) => rpc.kv.deleteRange(range(api)), true, false, false],
    ['read the keys of its service', (rpc) => rpc.kv.range(range(api)), true, false, false],
    ['read its own keys', (rpc) => rpc.kv.range(range(`${api}h1_`)), true, true, false],
    ['announce a host whose name begins like its own', puts(`${api}h10_10.0.0.10:80`), true, false, false],
    ['announce another service', puts('/nerve/services/web/h2_10.0.0.2:80'), false, false, false],
    ['announce a service whose name begins the same', puts('/nerve/services/api2/h1_10.0.0.1:80'), false, false, false],
    ['write a published configuration', puts('/smartstack/config/api'), false, false, false],
    ['announce at another path', puts('/data/db/h1_10.0.0.1:80'), false, false, false],
    ['ask the fleet', puts('/smartstack/fleet/requests/r'), true, true, false],
    ['read the answers of the fleet', (rpc) => rpc.kv.range(range('/smartstack/fleet/acks/')), true, true, false],
    ['read the proxies of the fleet', (rpc) => rpc.kv.range(range('/smartstack/fleet/proxies/')), true, true, false],
    ['acknowledge in the name of a synapse', puts('/smartstack/fleet/acks/r/host'), false, false, false],
    ['be a proxy of the fleet', puts('/smartstack/fleet/proxies/host'), false, false, false],
    ['remove a proxy', (rpc) => rpc.kv.deleteRange(at('/smartstack/fleet/proxies/host')), false, false, false],
    ['have a lease', (rpc) => rpc.lease.leaseGrant({ TTL: 60 }), true, true, '3.4'],
    ['have a lease that lasts for a century', (rpc) => rpc.lease.leaseGrant({ TTL: '3153600000' }), true, true, '3.4'],
    ['revoke the lease of keys that it may not write', revoke(othersLease), false, false, false],
    ['keep that lease alive', (rpc) => renew(rpc, othersLease), '3.4', '3.4', '3.4'],
    ['put a key of its own under that lease', puts(`${api}h1_10.0.0.1:82`, othersLease), false, false, false],
    [
      'put a key of its own under that lease in a transaction',
      putsInTxn(`${api}h1_10.0.0.1:82`, othersLease),
      ...['3.4' as const, '3.4' as const, false],
    ],
    ["read a lease's keys", (rpc) => rpc.lease.leaseTimeToLive({ ID: othersLease, keys: true }), '3.4', '3.4', '3.4'],
    ['find the ids of leases', (rpc) => rpc.lease.leaseLeases({}), '3.4', '3.4', '3.4'],
    ['keep a lease without keys alive', (rpc) => renew(rpc, emptyLease), true, true, '3.4'],
    ['revoke a lease without keys, if it knows its id', revoke(emptyLease), true, true, '3.4'],
    ['drop the history', (rpc) => rpc.kv.compact({ revision: '1' }), '3.4', '3.4', '3.4'],
    ['stop all writes with an alarm', (rpc) => alarm(rpc, 1), '3.4', '3.4', '3.4'],
    ['see the members', (rpc) => rpc.cluster.memberList({}), true, true, '3.4'],
    ['remove a member', (rpc) => rpc.cluster.memberRemove({ ID: '1' }), false, false, false],
    ['make another member the leader', (rpc) => rpc.maintenance.moveLeader({ targetID: '1' }), '3.4', '3.4', '3.4'],
    ['defragment a member', (rpc) => rpc.maintenance.defragment({}), false, false, false],
    ['make a user', (rpc) => rpc.auth.userAdd({ name: 'evil', password: 'x' }), false, false, false],
    ['give itself a role', (rpc) => rpc.auth.userGrantRole({ user: 'host-1', role: 'root' }), false, false, false],
    ['turn authentication off', (rpc) => rpc.auth.authDisable({}), false, false, false],
  ];

function revoke(ID: string): (rpc: Rpc) => Promise<unknown> {
  return (rpc) => rpc.lease.leaseRevoke({ ID });
}

function alarm({ maintenance }: Rpc, action: 1 | 2): Promise<unknown> {
  return maintenance.alarm({ action, alarm: noSpace, memberID: '1' });
}

/** Renews a lease over a stream of its own. @throws with etcd's message */
async function renew({ lease }: Rpc, ID: string): Promise<void> {
  const stream = await lease.leaseKeepAlive();
  try {
    await new Promise<void>((resolve, reject) => {
      stream.on('data', () => resolve());
      stream.on('error', reject);
      stream.write({ ID });
    });
  } finally {
    stream.cancel();
  }
}

for (const version of etcdVersions) {
  describe(`users for each service and each host on etcd ${version}`, () => {
    let cluster: LocalCluster;
    const signal = new AbortController();
    const clients = new Map<string, EtcdClient>();

    before(async () => {
      cluster = await testCluster(version, { size: 1, flags });
    });
    after(async () => {
      signal.abort();
      await cluster?.stopAll();
    });

    const as = (name: string): EtcdClient => {
      const who = name === 'nobody' ? {} : { username: name, password: name === 'root' ? 'r' : 'p' };
      const known =
        clients.get(name) ?? createEtcdClient({ hosts: cluster.urls, ...who }, { log: testLog() }, signal.signal);
      clients.set(name, known);
      return known;
    };
    const once = { maxTries: 1, attemptMs: 10_000, totalMs: 10_000 };
    const access = async (t: TestContext, wanted: object, ...options: readonly string[]) => {
      const file = join(await tempFolder(t), 'access.json');
      const etcd = { hosts: cluster.urls, username: 'root', password: 'r' };
      await writeFile(file, JSON.stringify({ etcd, ...wanted }));
      const { code, stdout, stderr } = await clusterCommand('access', [...options, file]);
      assert.equal(code, 0, stderr);
      return { lines: stdout.trim().split('\n'), stderr: stderr.replaceAll(file, 'FILE') };
    };

    it('are made from the list of nerves', async (t) => {
      const { lines } = await access(t, { nerves });
      assert.deepEqual(
        lines.filter((line) => line.startsWith('grant')),
        [
          'grant role nerve-api: read and write /nerve/services/api/',
          'grant role nerve-api: read and write /smartstack/fleet/requests/',
          'grant role nerve-api: read /smartstack/fleet/',
          'grant role nerve-db: read and write /data/db/',
          'grant role nerve-db: read and write /teams/db/requests/',
          'grant role nerve-db: read /teams/db/',
          'grant role host-1: read and write /nerve/services/api/h1_*',
          'grant role host-1: read and write /nerve/services/web/h1_*',
          'grant role host-1: read and write /smartstack/fleet/requests/',
          'grant role host-1: read /smartstack/fleet/',
          'grant role host-2: read and write /nerve/services/api/h2_*',
          'grant role host-2: read and write /nerve/services/web/h2_*',
        ],
      );
      assert.deepEqual((await access(t, { nerves })).lines, ['nothing to do']);
    });

    for (const [what, call, ...may] of rights) {
      for (const [index, name] of names.entries()) {
        const allowed = may[index] === true || may[index] === version;
        it(`${allowed ? 'let' : 'do not let'} ${name} ${what}`, async () => {
          await prepare(as('host-2'));
          const done = as(name).call(call, once);
          if (!allowed) await assert.rejects(done, /permission denied|user name is empty/);
          // For the second user the history is gone, and no member has the id 1.
          else await done.catch((error) => assert.match(error.message, /compacted|bad leader transferee/));
          await as('root').call((rpc) => alarm(rpc, 2), once);
        });
      }
    }

    /** host-2 has a lease with a key, and one without. */
    const prepare = async (client: EtcdClient): Promise<void> => {
      for (const ID of [othersLease, emptyLease]) {
        await client
          .call((rpc) => rpc.lease.leaseGrant({ TTL: 3600, ID }), once)
          .catch((error) => assert.match(error.message, /already exists/));
      }
      // A key of another user under the lease, as etcd 3.4 allows it, would take the lease away from host-2.
      await as('root').call((rpc) => rpc.kv.deleteRange(at(`${api}h1_10.0.0.1:82`)), once);
      await client.call(puts('/nerve/services/web/h2_10.0.0.2:81', othersLease), once);
    };

    type Taking = (lease: string) => (rpc: Rpc) => Promise<unknown>;
    const leases: readonly (readonly [which: string, lease: string, call: Taking, allowed: boolean])[] = [
      ['without keys', emptyLease, (lease) => puts(`${api}h1_10.0.0.1:83`, lease), true],
      [
        'with keys, in a transaction',
        othersLease,
        (lease) => putsInTxn(`${api}h1_10.0.0.1:83`, lease),
        version === '3.4',
      ],
    ];
    for (const [which, lease, call, allowed] of leases) {
      it(`${allowed ? 'let' : 'do not let'} a user take a lease ${which} away from its holder`, async (t) => {
        await prepare(as('host-2'));
        const removal = (rpc: Rpc) => rpc.kv.deleteRange(at(`${api}h1_10.0.0.1:83`));
        t.after(() => as('root').call(removal, once));
        const taken = as('host-1').call(call(lease), once);
        if (!allowed) {
          await assert.rejects(taken, /permission denied/);
          await as('host-2').call(puts('/nerve/services/web/h2_10.0.0.2:83', lease), once);
          return;
        }
        await taken;
        // The lease has a key that its holder may not write.
        const used = as('host-2').call(puts('/nerve/services/web/h2_10.0.0.2:83', lease), once);
        await assert.rejects(used, /permission denied/);
        await assert.rejects(as('host-2').call(revoke(lease), once), /permission denied/);
      });
    }

    it('let the nerve of a host announce and withdraw, which has only the rights to its own keys', async (t) => {
      const folder = await tempFolder(t);
      const config = {
        instance_id: 'h1',
        etcd: { hosts: cluster.urls, username: 'host-1', password: 'p' },
        admin: { listen: '127.0.0.1:0', control_socket: join(folder, 'control.sock') },
        state_file_path: join(folder, 'state.json'),
        services: {
          api: { host: '10.0.0.1', port: 8080, check_mocked: true },
          web: { host: '10.0.0.1', check_mocked: true, instances: [{ port: 8081 }, { port: 8082 }] },
        },
      };
      await writeFile(join(folder, 'nerve.json'), JSON.stringify(config));
      const nerve = await startDaemon('nerve', join(folder, 'nerve.json'));
      t.after(() => nerve.end('SIGKILL'));
      /** The ports that it announces, those that it has withdrawn left out. */
      const announced = async (): Promise<readonly string[]> =>
        Object.entries(await dump(as('root'), '/nerve/services/'))
          .filter(([key, text]) => /h1_10\.0\.0\.1:80(80|81|82)$/.test(key) && !text.includes('"down"'))
          .map(([key]) => key.slice(-4));
      await eventually(async () => assert.deepEqual(await announced(), ['8080', '8081', '8082']));
      assert.equal(await nerve.end(), 0);
      assert.deepEqual(await announced(), []);
      // From 3.5.30 on, only root may read a member's version.
      const refused = nerve.lines.filter(
        ({ message, reason }) => message !== 'etcd version unknown' && /permission denied/.test(String(reason)),
      );
      assert.deepEqual(
        refused.map(({ message }) => message),
        [],
      );
    });

    it('lose what the list no longer has, and the others stay until --remove-others', async (t) => {
      const fewer = { nerves: [{ ...nerves[2], services: ['api'] }, nerves[3]] };
      const changed = await access(t, fewer);
      assert.deepEqual(changed.lines, ['revoke role host-1: read and write /nerve/services/web/h1_*']);
      assert.equal(
        changed.stderr,
        'warning: these users are not in FILE and keep their rights: nerve-api, nerve-db; --remove-others removes them\n' +
          'warning: these roles are not in FILE and keep their rights: nerve-api, nerve-db; --remove-others removes them\n',
      );
      await assert.rejects(as('host-1').call(puts('/nerve/services/web/h1_10.0.0.1:80'), once), /permission denied/);
      await as('nerve-api').call(puts(`${api}x_10.0.0.1:80`), once);
      const removed = await access(t, fewer, '--remove-others');
      const gone = ['remove user nerve-api', 'remove user nerve-db', 'remove role nerve-api', 'remove role nerve-db'];
      assert.deepEqual([removed.lines, removed.stderr], [gone, '']);
      await assert.rejects(
        as('nerve-api').call(puts(`${api}x_10.0.0.1:80`), once),
        /authentication failed|invalid auth token|user name not found|permission denied/,
      );
      assert.deepEqual((await access(t, fewer, '--remove-others')).lines, ['nothing to do']);
      await as('host-1').call(puts(`${api}h1_10.0.0.1:80`), once);
    });
  });
}
