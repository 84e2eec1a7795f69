import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createEtcdClient, type EtcdClient } from '../../common/etcd/client/client.ts';
import type { Rpc } from '../../common/etcd/client/connection.ts';
import { prefixRange } from '../../common/etcd/client/key-value.ts';
import type { LocalCluster } from '../../etcd-cluster/members/local-cluster.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import type { StateReport } from '../../synapse/report/status-shape.ts';
import { startDaemon, type TestDaemon } from '../support/daemons/daemon.ts';
import { clusterCommand } from '../support/etcd/cluster-command.ts';
import { etcdVersions, put, testCluster, testLog } from '../support/etcd/etcd.ts';
import {
  haproxySection,
  type NamedServer,
  namedServer,
  type TestHaproxy,
  testHaproxy,
} from '../support/haproxy/haproxy.ts';
import { until } from '../support/until.ts';

/** The attacker has the user of the service `ours`; the victim is the service `theirs`. */
const [ours, theirs] = ['/nerve/services/ours/', '/nerve/services/theirs/'];
const published = '/smartstack/config/';
/** The lease of the victim's key, and one of the victim without keys. */
const [theirLease, emptyLease] = ['77', '78'];
/** The attacker's own. */
const ownLease = '79';
const access = {
  users: { synapse: { password: 'p', read: ['/nerve/services/', published] } },
  nerves: [
    { user: 'nerve-ours', services: ['ours'], password: 'p' },
    { user: 'nerve-theirs', services: ['theirs'], password: 'p' },
  ],
};

/** What etcd says: `3.4`: only 3.4 allows it. */
type Answer = 'denied' | 'allowed' | '3.4';

interface Attack {
  readonly title: string;
  readonly call: (rpc: Rpc, victim: Victim) => Promise<unknown>;
  readonly answer: Answer;
  /** What synapse says of a record of `ours` then. */
  readonly refused?: RegExp;
}

/** The instance of the other service: its key, and the fields of its record. */
interface Victim {
  readonly id: string;
  readonly record: { readonly host: string; readonly port: number; readonly name: string };
}

const write = (rpc: Rpc, key: string, value: string | Buffer | object, lease?: string): Promise<unknown> => {
  const text = typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value);
  return rpc.kv.put({ key: Buffer.from(key), value: Buffer.from(text), ...(lease !== undefined && { lease }) });
};
const remove = (rpc: Rpc, { key, end }: { readonly key: Buffer; readonly end?: Buffer }): Promise<unknown> =>
  rpc.kv.deleteRange({ key, ...(end !== undefined && { range_end: end }) });
const evil = { host: '127.0.0.1', port: 9, name: 'evil' };
const evilId = 'evil_127.0.0.1:9';

const attacks: readonly Attack[] = [
  { title: 'announces an instance', call: (rpc) => write(rpc, `${theirs}${evilId}`, evil), answer: 'denied' },
  {
    title: 'announces one at a deeper key',
    call: (rpc) => write(rpc, `${theirs}deep/${evilId}`, evil),
    answer: 'denied',
  },
  {
    title: 'overwrites a record',
    call: (rpc, { id, record }) => write(rpc, `${theirs}${id}`, { ...record, weight: 0 }),
    answer: 'denied',
  },
  {
    title: 'says down',
    call: (rpc, { id, record }) => write(rpc, `${theirs}${id}`, { ...record, state: 'down' }),
    answer: 'denied',
  },
  {
    title: 'says down at a deeper key',
    call: (rpc, { id, record }) => write(rpc, `${theirs}x/${id}`, { ...record, state: 'down' }),
    answer: 'denied',
  },
  {
    title: 'drains',
    call: (rpc, { id, record }) => write(rpc, `${theirs}${id}`, { ...record, state: 'drain' }),
    answer: 'denied',
  },
  {
    title: 'deletes a key',
    call: (rpc, { id }) => remove(rpc, { key: Buffer.from(`${theirs}${id}`) }),
    answer: 'denied',
  },
  { title: 'deletes all keys of the service', call: (rpc) => remove(rpc, prefixRange(theirs)), answer: 'denied' },
  {
    title: 'deletes all keys of both services',
    call: (rpc) => remove(rpc, prefixRange('/nerve/services/')),
    answer: 'denied',
  },
  {
    title: 'deletes a key in a transaction with a key of its own',
    call: (rpc, { id }) =>
      rpc.kv.txn({
        compare: [],
        success: [
          { request_put: { key: Buffer.from(`${ours}${evilId}`), value: Buffer.from(JSON.stringify(evil)) } },
          { request_delete_range: { key: Buffer.from(`${theirs}${id}`) } },
        ],
        failure: [],
      }),
    answer: 'denied',
  },
  { title: 'revokes the lease', call: (rpc) => rpc.lease.leaseRevoke({ ID: theirLease }), answer: 'denied' },
  {
    title: 'revokes a lease without keys',
    call: (rpc) => rpc.lease.leaseRevoke({ ID: emptyLease }),
    answer: 'allowed',
  },
  {
    title: 'puts a key of its own under the lease',
    call: (rpc) => write(rpc, `${ours}${evilId}`, evil, theirLease),
    answer: 'denied',
  },
  {
    title: 'publishes a configuration',
    call: (rpc) => write(rpc, `${published}theirs`, { haproxy: { listen: ['mode tcp'] } }),
    answer: 'denied',
  },
  {
    title: 'publishes one for its own service',
    call: (rpc) => write(rpc, `${published}ours`, { haproxy: { listen: ['mode tcp'] } }),
    answer: 'denied',
  },
  {
    title: 'deletes the published configuration',
    call: (rpc) => remove(rpc, { key: Buffer.from(`${published}theirs`) }),
    answer: 'denied',
  },
  {
    title: 'reads the records',
    call: (rpc, { id }) => rpc.kv.range({ key: Buffer.from(`${theirs}${id}`) }),
    answer: 'denied',
  },
  {
    title: 'announces a service whose name begins the same',
    call: (rpc) => write(rpc, `/nerve/services/theirs2/${evilId}`, evil),
    answer: 'denied',
  },
  { title: 'stops all writes with a false alarm', call: alarm, answer: '3.4' },

  // etcd allows them: they are keys of the attacker's own service.
  {
    title: 'announces the instance in its own service',
    call: (rpc, { id, record }) => write(rpc, `${ours}${id}`, record, ownLease),
    answer: 'allowed',
  },
  {
    title: 'says down of the instance in its own service',
    call: (rpc, { id, record }) => write(rpc, `${ours}${id}`, { ...record, state: 'down' }, ownLease),
    answer: 'allowed',
  },
  {
    title: 'writes the path of the other service into a key of its own',
    call: (rpc, { id, record }) => write(rpc, `${ours}../theirs/${id}`, { ...record, state: 'down' }, ownLease),
    answer: 'allowed',
  },
  {
    title: 'names the server of the other service in a key that ends otherwise',
    call: (rpc, { record }) => write(rpc, `${ours}x`, record, ownLease),
    answer: 'allowed',
    refused: /its key must end in/,
  },
  {
    title: 'writes 1.4 MB',
    call: (rpc) => write(rpc, `${ours}large_127.0.0.1:9`, Buffer.alloc(1_400_000, 'x'), ownLease),
    answer: 'allowed',
    refused: /bytes/,
  },
  {
    title: 'writes what is no JSON',
    call: (rpc) => write(rpc, `${ours}junk_127.0.0.1:9`, '}{', ownLease),
    answer: 'allowed',
    refused: /JSON/,
  },
  {
    title: 'writes without a lease',
    call: (rpc) => write(rpc, `${ours}forever_127.0.0.1:9`, { ...evil, name: 'forever' }),
    answer: 'allowed',
    refused: /no lease/,
  },
  {
    title: 'writes a line of haproxy.cfg into a name',
    call: (rpc) => write(rpc, `${ours}line`, { ...evil, name: 'x\nbackend theirs' }, ownLease),
    answer: 'allowed',
    refused: /name/,
  },
];

function alarm({ maintenance }: Rpc): Promise<unknown> {
  return maintenance.alarm({ action: 1, alarm: 1, memberID: '1' });
}

for (const version of etcdVersions) {
  describe(`the user of one service against another service, with etcd ${version}`, () => {
    const signal = new AbortController();
    const clients = new Map<string, EtcdClient>();
    let cluster: LocalCluster;
    let haproxy: TestHaproxy;
    let server: NamedServer;
    let synapse: TestDaemon;
    let victim: Victim;
    let port: number;
    let weight = 1;

    const as = (username: string): EtcdClient => {
      const password = username === 'root' ? 'r' : 'p';
      const known =
        clients.get(username) ??
        createEtcdClient({ hosts: cluster.urls, username, password }, { log: testLog() }, signal.signal);
      clients.set(username, known);
      return known;
    };
    const announce = (): Promise<number> =>
      put(as('nerve-theirs'), `${theirs}${victim.id}`, JSON.stringify({ ...victim.record, weight }), theirLease);

    before(async () => {
      cluster = await testCluster(version, { size: 1, flags: ['--bcrypt-cost=4'] });
      haproxy = await testHaproxy();
      server = await namedServer('victim');
      const file = join(haproxy.folder, 'access.json');
      const etcd = { hosts: cluster.urls, username: 'root', password: 'r' };
      await writeFile(file, JSON.stringify({ etcd, ...access }));
      const made = await clusterCommand('access', [file]);
      assert.equal(made.code, 0, made.stderr);
      victim = {
        id: `victim_127.0.0.1:${server.port}`,
        record: { host: '127.0.0.1', port: server.port, name: 'victim' },
      };
      for (const [user, ID] of [
        ['nerve-theirs', theirLease],
        ['nerve-theirs', emptyLease],
        ['nerve-ours', ownLease],
      ] as const) {
        await as(user).call((rpc) => rpc.lease.leaseGrant({ TTL: 3600, ID }));
      }
      await put(as('root'), `${published}theirs`, JSON.stringify({ haproxy: { listen: ['mode http'] } }));
      await announce();
      port = await freePort();
      const service = (name: string, own: number) => ({
        discovery: { method: 'etcd', generator_config_path: `${published}${name}`, require_lease: name === 'ours' },
        haproxy: { port: own, listen: ['mode http'] },
      });
      const config = join(haproxy.folder, 'synapse.json');
      await writeFile(
        config,
        JSON.stringify({
          etcd: { hosts: cluster.urls, username: 'synapse', password: 'p' },
          admin: { listen: '127.0.0.1:0' },
          state_file_path: join(haproxy.folder, 'state.json'),
          services: { ours: service('ours', await freePort()), theirs: service('theirs', port) },
          haproxy: haproxySection(haproxy),
        }),
      );
      synapse = await startDaemon('synapse', config);
      await until(async () => (await readFile(haproxy.file, 'utf8').catch(() => '')).includes(`:${server.port} `));
      await haproxy.start();
      await until(async () => (await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined))?.ok === true);
    });
    after(async () => {
      await synapse?.end('SIGKILL');
      signal.abort();
      await haproxy?.close();
      await server?.close();
      await cluster?.stopAll();
    });

    const services = async () => (JSON.parse((await synapse.get('/api/v1/state')).body) as StateReport).services;

    /** The victim changes its weight: when synapse has that, it has seen what was written before. */
    const followed = async (): Promise<void> => {
      weight = weight === 200 ? 1 : weight + 1;
      await announce();
      await until(async () => (await services()).theirs?.instances?.some((one) => one.weight === weight) === true);
    };

    for (const { title, call, answer, refused } of attacks) {
      const isAllowed = answer === 'allowed' || answer === version;
      it(`which ${title}, ${isAllowed ? 'is allowed by etcd and changes nothing there' : 'is denied by etcd'}`, async () => {
        const attempt = as('nerve-ours').call((rpc) => call(rpc, victim), {
          maxTries: 1,
          attemptMs: 10_000,
          totalMs: 10_000,
        });
        if (isAllowed) await attempt;
        else await assert.rejects(attempt, /permission denied/);
        await as('root').call((rpc) => rpc.maintenance.alarm({ action: 2, alarm: 1, memberID: '1' }));
        await followed();
        if (refused !== undefined) {
          await until(
            async () => (await services()).ours?.rejected?.some(({ reason }) => refused.test(reason)) === true,
          );
        }
        const found = (await services()).theirs;
        assert.deepEqual(found?.instances, [
          { ...found?.instances?.[0], ...victim.record, id: victim.id, state: 'up', weight },
        ]);
        assert.equal(found?.published?.refused, null);
        const response = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(10_000) });
        assert.equal(await response.text(), 'victim');
      });
    }
  });
}
