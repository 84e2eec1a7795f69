import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { EtcdClient } from '../../common/etcd/client.ts';
import { silentLog } from '../../common/log.ts';
import type { LocalCluster } from '../../etcd-cluster/local.ts';
import { listServices } from '../../synapse/listservices.ts';
import { directClient, put, remove, testCluster } from '../support/etcd.ts';
import { until } from '../support/until.ts';

describe('listServices', () => {
  const end = new AbortController();
  let cluster: LocalCluster;
  let client: EtcdClient;
  before(async () => {
    cluster = await testCluster('3.4', { size: 1 });
    client = directClient(cluster, end.signal);
    await put(
      client,
      '/s/web/w_10.0.0.2:80',
      '{"host":"10.0.0.2","port":80,"name":"w","backup":true,"labels":{"az":"x"}}',
    );
    await put(client, '/s/api/v2/a_10.0.0.1:80', '{"host":"10.0.0.1","port":80,"name":"a","weight":7,"state":"drain"}');
    await put(client, '/s/api/\u001b[2J', 'not json');
    await put(client, '/elsewhere/x', '{"host":"10.0.0.9","port":80}');
  });
  after(async () => {
    end.abort();
    await cluster.stopAll();
  });

  function printer() {
    const printed: string[] = [];
    return { printed, print: (text: string) => void printed.push(text) };
  }

  test('prints every instance below the prefix once, by service, with nothing that harms a terminal', async () => {
    const { printed, print } = printer();
    const options = { prefix: '/s/', watch: false, timeout: 30_000, print, log: silentLog };
    await listServices({ hosts: cluster.urls }, options);
    const cells = printed
      .join('')
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/));
    assert.deepEqual(
      cells.map(([service, instance, state]) => [service, instance, state?.replace(/:.*/, '')]),
      [
        ['SERVICE', 'INSTANCE', 'STATE'],
        ['api', '\\u001b[2J', 'cannot be used'],
        ['api/v2', 'a_10.0.0.1:80', 'drain'],
        ['web', 'w_10.0.0.2:80', 'up, backup'],
      ],
    );
    assert.equal(cells[2]?.[3], '7');
    assert.equal(cells[3]?.[3], 'az=x');
  });

  test('goes on with a line for each change when it is to watch', async () => {
    const { printed, print } = printer();
    const stop = new AbortController();
    const options = { prefix: '/s/', watch: true, timeout: 30_000, print, log: silentLog };
    const done = listServices({ hosts: cluster.urls }, options, stop.signal);
    await until(() => printed.length === 1);
    await put(client, '/s/web/w_10.0.0.3:80', '{"host":"10.0.0.3","port":80,"name":"w"}');
    await remove(client, '/s/web/w_10.0.0.3:80');
    await until(() => printed.length === 3);
    stop.abort();
    await done;
    assert.match(printed[1] ?? '', /^\S+Z {2}web {2}w_10\.0\.0\.3:80 {2}up\n$/);
    assert.match(printed[2] ?? '', /^\S+Z {2}web {2}w_10\.0\.0\.3:80 {2}gone\n$/);
  });

  test('fails with the reason when etcd does not answer', async () => {
    const { printed, print } = printer();
    const options = { prefix: '/s/', watch: false, timeout: 300, print, log: silentLog };
    const answer = listServices({ hosts: ['http://127.0.0.1:1'] }, options);
    await assert.rejects(answer, /^Error: etcd did not answer within 300 ms: .*connection refused/);
    assert.deepEqual(printed, []);
  });
});
