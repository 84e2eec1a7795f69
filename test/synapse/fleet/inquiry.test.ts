import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createEtcdClient, type EtcdClient } from '../../../common/etcd/client/client.ts';
import { prefixRange } from '../../../common/etcd/client/key-value.ts';
import { fleetKeys, proxyKey } from '../../../common/fleet/keys.ts';
import type { ServiceQuestions } from '../../../synapse/fleet/facts.ts';
import { FleetInquiry } from '../../../synapse/fleet/inquiry.ts';
import { fleetDocumentShape } from '../../../synapse/report/fleet-shape.ts';
import { enableAuth } from '../../support/etcd/auth.ts';
import { grantLease, put, testCluster, testLog } from '../../support/etcd/etcd.ts';
import { FakeProxy, fleetPath, fleetSize, type Says } from '../../support/etcd/fleet.ts';
import { withCluster } from '../../support/etcd/with-cluster.ts';
import { mismatches } from '../../support/json-shape.ts';
import { until } from '../../support/until.ts';

const path = '/nerve/services/api';
const applied: Says = () => ({ result: 'applied', ms: 12 });
const api = (instances: number): ServiceQuestions => ({
  service: 'api',
  path,
  instances: Array.from({ length: instances }, (_, index) => ({ id: `i-${index}`, key: `${path}/i-${index}` })),
});

describe('what a synapse knows of the whole fleet', () => {
  const etcd = withCluster('3.5');
  let end: AbortController;
  beforeEach(() => {
    end = new AbortController();
  });
  afterEach(async () => {
    end.abort();
    const { key, end: to } = prefixRange(fleetPath);
    await etcd.client.call((rpc) => rpc.kv.deleteRange({ key, range_end: to }));
  });
  const proxy = (id: string, says: Says, paths = [path]) =>
    new FakeProxy(etcd.client, id, says, paths).start(end.signal);
  const inquiry = (client: EtcdClient = etcd.client) =>
    new FleetInquiry({ log: testLog(), client, config: { path: fleetPath, id: 'a' }, host: 'host-a' });

  it('lists the proxies without asking them, also one whose record cannot be read', async () => {
    const [a] = await Promise.all([proxy('a', applied), proxy('b', applied, ['/x'])]);
    await put(etcd.client, proxyKey(fleetKeys(fleetPath), 'c'), '{"v":1}', await grantLease(etcd.client, 60));
    const { proxies, asked_at, reason, revision } = await inquiry().presence(end.signal);
    assert.deepEqual([asked_at, reason, revision], [null, null, null]);
    assert.deepEqual(
      proxies.map(({ proxy, host, paths }) => [proxy, host, paths]),
      [
        ['a', 'a', [path]],
        ['b', 'b', ['/x']],
        ['c', null, []],
      ],
    );
    assert.match(String(proxies[2]?.reason), /its record cannot be read: paths/);
    assert.equal(a.requests.size, 0);
  });

  it('asks all of them, and gives the same answer again for some seconds instead of asking again', async () => {
    let asked = 0;
    await proxy('a', () => {
      asked += 1;
      return { result: 'applied', ms: 12 };
    });
    const one = inquiry();
    const answers = await Promise.all([one.ask(undefined, end.signal), one.ask(undefined, end.signal)]);
    answers.push(await one.ask(undefined, end.signal));
    const [first] = answers;
    assert.deepEqual(
      first?.proxies.map(({ proxy, milliseconds, reason }) => [proxy, milliseconds, reason]),
      [['a', 12, null]],
    );
    assert.ok(first?.asked_at !== null && Number(first?.revision) > 0);
    assert.ok(answers.every((answer) => answer === first));
    assert.deepEqual(mismatches(fleetDocumentShape, first), []);
    assert.equal(asked, 1);
  });

  it('names the proxies that do not have an instance of a service, with their reasons', async () => {
    await Promise.all([
      proxy('a', applied),
      proxy('b', (request) =>
        request.kind === 'instance' && request.key.endsWith('i-1')
          ? { result: 'cannot', reason: "HAProxy's own check says that api/i-1 is down" }
          : { result: 'applied' },
      ),
      proxy('c', ({ kind }) => ({ result: kind === 'instance' ? 'unused' : 'applied' })),
      proxy('elsewhere', () => undefined, ['/x']),
    ]);
    const { differences, not_compared, service, proxies } = await inquiry().ask(api(3), end.signal);
    assert.deepEqual([service, not_compared, proxies.length], ['api', 0, 3]);
    const others = [{ proxy: 'b', reason: "HAProxy's own check says that api/i-1 is down" }];
    assert.deepEqual(differences, [{ instance: 'i-1', has: 1, unused: 1, others }]);
  });

  it('asks about 20 instances of a service at most, and says how many are left', async () => {
    const keys = new Set<string>();
    await proxy('a', (request) => {
      if (request.kind === 'instance') keys.add(request.key);
      return { result: 'applied' };
    });
    const { differences, not_compared } = await inquiry().ask(api(25), end.signal);
    assert.deepEqual([differences, not_compared, keys.size], [[], 5, 20]);
  });

  it('does not ask another question at once, and says when it may be asked', async () => {
    const a = await proxy('a', applied);
    const one = inquiry();
    await one.ask(undefined, end.signal);
    const { asked_at, reason, proxies } = await one.ask(api(1), end.signal);
    assert.equal(asked_at, null);
    assert.match(String(reason), /asked a moment ago: try again in [1-5] s/);
    assert.equal(proxies.length, 1);
    await until(() => a.requests.size === 0);
  });

  it('says that etcd does not let it ask, and still lists the proxies', async () => {
    const cluster = await testCluster('3.5', { size: 1 });
    try {
      await enableAuth(cluster, `${fleetPath}/proxies/`);
      const user = { hosts: cluster.urls, username: 'nerve', password: 'secret' };
      const client = createEtcdClient(user, { log: testLog() }, end.signal);
      const root = createEtcdClient(
        { ...user, username: 'root', password: 'root-secret' },
        { log: testLog() },
        end.signal,
      );
      await new FakeProxy(root, 'a', applied).start(end.signal);
      const { reason, proxies, asked_at } = await inquiry(client).ask(undefined, end.signal);
      assert.match(String(reason), /etcd does not allow it: .*permission denied.*; synapse fleet -c FILE asks/);
      assert.deepEqual([proxies.length, asked_at], [1, null]);
    } finally {
      await cluster.stopAll();
    }
  });

  it('says that the proxies cannot be read while etcd is away', async () => {
    const away = createEtcdClient({ hosts: ['http://127.0.0.1:9'] }, { log: testLog() }, end.signal);
    const stop = new AbortController();
    const reading = inquiry(away).presence(stop.signal);
    stop.abort();
    const { reason, proxies } = await reading;
    assert.match(String(reason), /^the proxies cannot be read: /);
    assert.deepEqual(proxies, []);
  });

  it('removes its requests', async () => {
    await proxy('a', applied);
    await inquiry().ask(undefined, end.signal);
    await until(async () => (await fleetSize(etcd.client, 'requests')) === 0);
  });
});
