import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import { type Log, silentLog } from '../../../../common/daemon/log.ts';
import { createEtcdClient } from '../../../../common/etcd/client/client.ts';
import { type EtcdSourceOptions, source } from '../../../../synapse/discovery/sources/etcd.ts';
import type { InstanceSet, Rejected, SourceContext } from '../../../../synapse/source.ts';
import { put, remove } from '../../../support/etcd/etcd.ts';
import { withCluster } from '../../../support/etcd/with-cluster.ts';
import { until } from '../../../support/until.ts';

const record = (host: string, more: object = {}): string => JSON.stringify({ host, port: 80, name: 'n', ...more });
const nowhere = 'http://127.0.0.1:1';

describe('the source etcd', () => {
  const etcd = withCluster('3.4');
  const end = new AbortController();
  const stops: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
  });
  after(async () => {
    end.abort();
  });

  interface FollowOptions extends EtcdSourceOptions {
    /** Of the `etcd` section. */
    readonly section?: readonly string[];
    readonly shared?: Map<string, unknown>;
  }

  /** Starts a source and keeps what it says. */
  function follow(
    service: string,
    { section = etcd.cluster.urls, shared = new Map(), ...options }: FollowOptions = {},
  ) {
    const sets: InstanceSet[] = [];
    const rejected: Rejected[] = [];
    const gone: string[] = [];
    const stop = new AbortController();
    const context: SourceContext = {
      service,
      log: silentLog,
      etcd: { hosts: section },
      openEtcd: createEtcdClient,
      dropped: () => {},
      rejected: (found) => rejected.push(found),
      gone: (id, how) => gone.push(`${how} ${id}`),
      shared<T>(key: string, make: (signal: AbortSignal, log: Log) => T): T {
        if (!shared.has(key)) shared.set(key, make(end.signal, silentLog));
        return shared.get(key) as T;
      },
    };
    const running = source.create(options, context);
    const done = running((set) => sets.push(set), stop.signal);
    stops.push(async () => {
      stop.abort();
      await done;
    });
    const hosts = () => sets.at(-1)?.instances.map(({ host }) => host);
    return { sets, rejected, gone, hosts, running, shared };
  }

  it('publishes everything below its path at once, and each change after that', async () => {
    await put(etcd.client, '/nerve/services/all/n_10.0.0.1:80', record('10.0.0.1'));
    await put(etcd.client, '/nerve/services/all/deep/er/n_10.0.0.2:80', record('10.0.0.2', { weight: 7 }));
    const { sets, hosts, gone } = follow('all');
    await until(() => sets.length === 1);
    assert.deepEqual(hosts(), ['10.0.0.2', '10.0.0.1']);
    const revision = await put(etcd.client, '/nerve/services/all/n_10.0.0.3:80', record('10.0.0.3', { state: 'down' }));
    await until(() => sets.length === 2);
    assert.equal(sets[1]?.revision, String(revision));
    assert.equal(sets[1]?.instances[0], sets[0]?.instances[0]);
    await put(etcd.client, '/nerve/services/all/deep/er/n_10.0.0.2:80', record('10.0.0.2', { state: 'down' }));
    await until(() => gone.length === 1);
    await remove(etcd.client, '/nerve/services/all/deep/er/n_10.0.0.2:80');
    await remove(etcd.client, '/nerve/services/all/n_10.0.0.1:80');
    await until(() => gone.length === 2);
    // The second one was under no lease, so it cannot have expired.
    assert.deepEqual(gone, ['withdrawn n_10.0.0.2:80', 'withdrawn n_10.0.0.1:80']);
    await until(() => sets.at(-1)?.instances.length === 1);
    const withdrawn = sets.flatMap((set) => [...(set.withdrawn?.keys() ?? [])]);
    assert.deepEqual(withdrawn, ['n_10.0.0.2:80', 'n_10.0.0.1:80']);
    assert.deepEqual(hosts(), ['10.0.0.3']);
  });

  it('tells keys that somebody deleted from keys whose lease is gone', async () => {
    const { ID: lease } = await etcd.client.call((rpc) => rpc.lease.leaseGrant({ TTL: 600, ID: 0 }));
    const putLeased = (service: string, host: string) =>
      etcd.client.call((rpc) =>
        rpc.kv.put({
          key: Buffer.from(`/nerve/services/${service}/n_${host}:80`),
          value: Buffer.from(record(host)),
          lease,
        }),
      );
    for (const host of ['10.0.0.1', '10.0.0.2']) await putLeased('leased', host);
    await putLeased('other', '10.0.0.3');
    const leased = follow('leased');
    const other = follow('other', { shared: leased.shared });
    await until(() => leased.sets.length === 1 && other.sets.length === 1);
    assert.deepEqual(leased.sets[0]?.leases, [lease, lease]);
    // The first is decided by the other key of its lease, the second by asking etcd.
    for (const host of ['10.0.0.1', '10.0.0.2']) {
      await remove(etcd.client, `/nerve/services/leased/n_${host}:80`);
      await until(() => leased.gone.at(-1) === `withdrawn n_${host}:80`);
    }
    await putLeased('leased', '10.0.0.4');
    await until(() => leased.hosts()?.length === 1);
    await etcd.client.call((rpc) => rpc.lease.leaseRevoke({ ID: lease }));
    // Release 3.4.23 may revoke leases by mistake, so the owner has 6 s to come back.
    await until(() => leased.gone.length === 3 && other.gone.length === 1, 15_000);
    assert.deepEqual([leased.gone.at(-1), other.gone.at(-1)], ['expired n_10.0.0.4:80', 'expired n_10.0.0.3:80']);
    assert.deepEqual([...(other.sets.at(-1)?.lost ?? [])], [['n_10.0.0.3:80', lease]]);
  });

  it('serves several services from one path', async () => {
    await put(etcd.client, '/apps/common/n_10.0.0.1:80', record('10.0.0.1'));
    const first = follow('several-1', { path: '/apps/common' });
    const second = follow('several-2', { path: '/apps/common', shared: first.shared });
    await until(() => first.sets.length === 1 && second.sets.length === 1);
    await put(etcd.client, '/apps/common/n_10.0.0.2:80', record('10.0.0.2'));
    await until(() => first.sets.length === 2 && second.sets.length === 2);
    assert.deepEqual(first.hosts(), ['10.0.0.1', '10.0.0.2']);
    assert.deepEqual(second.hosts(), first.hosts());
  });

  it('publishes an empty set for a path with nothing below it', async () => {
    const { sets } = follow('empty');
    await until(() => sets.length === 1);
    assert.deepEqual(sets[0]?.instances, []);
  });

  it('matches whole segments only', async () => {
    await put(etcd.client, '/nerve/services/api2/n_10.0.0.9:80', record('10.0.0.9'));
    await put(etcd.client, '/nerve/services/api', record('10.0.0.8'));
    await put(etcd.client, '/nerve/services/api/n_10.0.0.1:80', record('10.0.0.1'));
    const { sets, hosts } = follow('api');
    await until(() => sets.length === 1);
    assert.deepEqual(hosts(), ['10.0.0.1']);
    await put(etcd.client, '/nerve/services/api2/n_10.0.0.7:80', record('10.0.0.7'));
    await put(etcd.client, '/nerve/services/api/n_10.0.0.2:80', record('10.0.0.2'));
    await until(() => sets.length === 2);
    assert.deepEqual(hosts(), ['10.0.0.1', '10.0.0.2']);
  });

  it('reads keys without a slash in front when it is told to', async () => {
    await put(etcd.client, 'plain/api/n_10.0.0.1:80', record('10.0.0.1'));
    await put(etcd.client, '/plain/api/n_10.0.0.2:80', record('10.0.0.2'));
    const { path } = source.schema;
    const read = path.format as (value: unknown) => string;
    const without = follow('api', { path: read('plain/api'), leading_slash: false });
    const withSlash = follow('api', { path: read('/plain/api') });
    await until(() => without.sets.length === 1 && withSlash.sets.length === 1);
    assert.deepEqual([without.hosts(), withSlash.hosts()], [['10.0.0.1'], ['10.0.0.2']]);
  });

  it('publishes nothing when a record is written again with the same content', async () => {
    const key = '/nerve/services/same/n_10.0.0.1:80';
    await put(etcd.client, key, record('10.0.0.1'));
    const { sets } = follow('same');
    await until(() => sets.length === 1);
    await put(etcd.client, key, record('10.0.0.1'));
    await put(etcd.client, key, record('10.0.0.1', { weight: 2 }));
    await until(() => sets.length === 2);
    assert.equal(sets[1]?.instances[0]?.weight, 2);
  });

  it('skips an invalid record, names it once, and uses the others', async () => {
    const path = '/nerve/services/hostile';
    const hostile: readonly (readonly [string, string | Buffer])[] = [
      ['not-json', 'not json'],
      ['binary', Buffer.from([0xff, 0xfe, 0x00])],
      ['null', 'null'],
      ['list', '[]'],
      ['empty', ''],
      ['no-port', '{"host":"10.0.0.1"}'],
      ['port-zero', record('10.0.0.1', { port: 0 })],
      ['port-object', record('10.0.0.1', { port: {} })],
      ['port-fraction', record('10.0.0.1', { port: 1.5 })],
      ['host-number', '{"host":1,"port":80}'],
      ['host-newline', record('10.0.0.1\n  server evil 6.6.6.6:80')],
      ['host-space', record('10.0.0.1 backup')],
      ['name-newline', record('10.0.0.1', { name: 'a\nfrontend evil' })],
      ['name-quote', record('10.0.0.1', { name: 'a"b' })],
      ['name-semicolon', record('10.0.0.1', { name: 'a;shutdown sessions' })],
      ['name-proto', '{"host":"10.0.0.1","port":80,"name":{"__proto__":{}}}'],
      ['options-newline', record('10.0.0.1', { haproxy_server_options: 'check\n  server evil 6.6.6.6:80' })],
      ['weight-string', record('10.0.0.1', { weight: 'heavy' })],
      ['weight-huge', record('10.0.0.1', { weight: 1e9 })],
      ['labels-list', record('10.0.0.1', { labels: ['a'] })],
      ['labels-newline', record('10.0.0.1', { labels: { a: 'b\nc' } })],
      ['state-unknown', record('10.0.0.1', { state: 'sideways' })],
      ['backup-string', record('10.0.0.1', { backup: 'yes' })],
      ['deep', '['.repeat(60_000)],
      ['another-name', record('10.0.0.1')],
      ['n_10.0.0.1', '{"host":"n_10.0.0.1","port":80}'],
      ['huge', record('10.0.0.1', { padding: 'x'.repeat(1024 * 1024) })],
    ];
    for (const [name, value] of hostile) await put(etcd.client, `${path}/${name}`, value);
    await put(
      etcd.client,
      `${path}/10.0.0.2:80`,
      '{"host":"10.0.0.2","port":80,"__proto__":{"state":"down"},"labels":{"__proto__":"x"}}',
    );
    await put(etcd.client, `${path}/twin/10.0.0.2:80`, '{"host":"10.0.0.2","port":80,"state":"drain"}');
    const { sets, rejected, hosts } = follow('hostile');
    await until(() => sets.length === 1);
    assert.deepEqual(hosts(), ['10.0.0.2']);
    assert.equal(sets[0]?.instances[0]?.state, 'up');
    const named = rejected.map(({ where }) => where.slice(path.length + 1));
    assert.deepEqual(named.toSorted(), hostile.map(([name]) => name).toSorted());
    for (const { reason } of rejected) assert.ok(reason.length < 300 && !reason.includes('\n'), reason);
    const shown = sets[0]?.rejected.map(({ where }) => where.slice(path.length + 1)) ?? [];
    assert.deepEqual(shown.toSorted(), [...named, 'twin/10.0.0.2:80'].toSorted());
    await put(etcd.client, `${path}/n_10.0.0.3:80`, record('10.0.0.3'));
    await until(() => sets.length === 2);
    assert.equal(rejected.length, hostile.length);
  });

  it('shares one connection among all sources of a cluster with the same credentials', () => {
    const { shared } = follow('shared-1');
    follow('shared-2', { shared });
    follow('shared-3', { path: '/elsewhere', shared });
    assert.equal(shared.size, 1);
    follow('shared-4', { hosts: [nowhere], shared });
    assert.equal(shared.size, 2);
    follow('shared-5', { username: 'u', password: 'secret', shared });
    assert.equal(shared.size, 3);
    assert.ok([...shared.keys()].every((key) => !key.includes('secret')));
  });

  it('uses host and port instead of the hosts of the section', async () => {
    await put(etcd.client, '/nerve/services/older/n_10.0.0.1:80', record('10.0.0.1'));
    const { hostname: host, port } = new URL(etcd.cluster.urls[0] ?? '');
    const { sets, hosts } = follow('older', { section: [nowhere], host, port: Number(port) });
    await until(() => sets.length === 1);
    assert.deepEqual(hosts(), ['10.0.0.1']);
  });

  it('keeps its last set while etcd is down, shows the reason, and follows changes when etcd is back', async () => {
    await put(etcd.client, '/nerve/services/outage/n_10.0.0.1:80', record('10.0.0.1'));
    const { sets, hosts, running } = follow('outage');
    await until(() => sets.length === 1);
    await until(() => running.status?.().reason === null);
    const member = etcd.cluster.members[0];
    assert.ok(member);
    await member.kill();
    await until(() => running.status?.().reason !== null);
    assert.equal(sets.length, 1);
    await member.start();
    await etcd.cluster.ready();
    await put(etcd.client, '/nerve/services/outage/n_10.0.0.2:80', record('10.0.0.2'));
    await until(() => sets.length === 2);
    assert.deepEqual(hosts(), ['10.0.0.1', '10.0.0.2']);
  });

  it('publishes nothing while etcd has never answered', async () => {
    const { sets, running } = follow('never', { hosts: [nowhere] });
    await until(() => /connection refused/.test(running.status?.().reason ?? ''));
    assert.deepEqual(sets, []);
    assert.equal(running.status?.().age, null);
  });

  it('selects its keys of a path with several services, and reads values in another format than nerve', async () => {
    await put(etcd.client, '/shared/api-1', '10.1.0.1:80');
    await put(etcd.client, '/shared/web-1', 'not for us at all');
    const options = { path: '/shared', keys: 'api-*', decode: { method: 'address' } } as const;
    const { hosts, rejected } = follow('several', options);
    await until(() => hosts()?.join() === '10.1.0.1');
    await put(etcd.client, '/shared/web-2', 'nor is this');
    await put(etcd.client, '/shared/api-2', '10.1.0.2:80');
    await until(() => hosts()?.join() === '10.1.0.1,10.1.0.2');
    await remove(etcd.client, '/shared/web-1');
    await remove(etcd.client, '/shared/api-1');
    await until(() => hosts()?.join() === '10.1.0.2');
    assert.deepEqual(rejected, []);
  });

  it('publishes configuration that the registry has beside the instances', async () => {
    const path = '/smartstack/config/api';
    await put(etcd.client, `${path}2`, '{"longer": "key"}');
    await put(etcd.client, '/nerve/services/configured/n_10.2.0.1:80', record('10.2.0.1'));
    const { sets, rejected } = follow('configured', { generator_config_path: path });
    const published = () => sets.at(-1)?.published?.value;
    await until(() => sets.length > 0);
    assert.equal(published(), undefined);
    await put(etcd.client, path, '{"haproxy":{"port":1}}');
    await until(() => published() !== undefined);
    assert.deepEqual(published(), { haproxy: { port: 1 } });
    await put(etcd.client, path, 'broken');
    await until(() => rejected.length > 0);
    assert.deepEqual(rejected, [{ where: path, reason: rejected[0]?.reason }]);
    // The catalog, which knows both, keeps the previous one in force.
    assert.match(sets.at(-1)?.published?.broken ?? '', /not JSON/);
    assert.deepEqual(published(), {});
    assert.deepEqual(sets.at(-1)?.instances.length, 1);
    await remove(etcd.client, path);
    await until(() => published() === undefined);
  });
});
