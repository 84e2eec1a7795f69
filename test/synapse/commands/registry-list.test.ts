import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { plain } from '../../../common/cli/table.ts';
import { silentLog } from '../../../common/daemon/log.ts';
import {
  followRegistry,
  formatChange,
  formatList,
  type ListedChange,
  type RegistryList,
  servicesShape,
} from '../../../synapse/commands/registry-list.ts';
import { put, remove } from '../../support/etcd/etcd.ts';
import { withCluster } from '../../support/etcd/with-cluster.ts';
import { patienceMs } from '../../support/eventually.ts';
import { mismatches } from '../../support/json-shape.ts';
import { until } from '../../support/until.ts';

describe('the list of the registry', () => {
  const etcd = withCluster('3.4');
  before(async () => {
    await put(
      etcd.client,
      '/s/web/w_10.0.0.2:80',
      '{"host":"10.0.0.2","port":80,"name":"w","backup":true,"labels":{"az":"x"}}',
    );
    await put(
      etcd.client,
      '/s/api/v2/a_10.0.0.1:80',
      '{"host":"10.0.0.1","port":80,"name":"a","weight":7,"state":"drain"}',
    );
    await put(etcd.client, '/s/api/\u001b[2J', 'not json');
    await put(etcd.client, '/elsewhere/x', '{"host":"10.0.0.9","port":80}');
  });

  it('has every record below the prefix, by service, without control characters', async () => {
    const lists: RegistryList[] = [];
    const onList = (list: RegistryList): void => void lists.push(list);
    await followRegistry(
      { hosts: etcd.cluster.urls },
      { prefix: '/s/', timeoutMs: patienceMs, log: silentLog, onList },
    );
    const [list] = lists;
    assert.ok(list !== undefined && lists.length === 1);
    assert.deepEqual(mismatches(servicesShape, JSON.parse(JSON.stringify(list))), []);
    const text = formatList(list, plain);
    const cells = text
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/));
    assert.deepEqual(
      cells.map((row) => row.slice(0, 3)),
      [
        ['SERVICE', 'INSTANCE', 'STATE'],
        ['api', '\\u001b[2J', 'cannot be used: not JSON: "not json"'],
        ['api/v2', 'a_10.0.0.1:80', 'drain'],
        ['web', 'w_10.0.0.2:80', 'up, backup'],
      ],
    );
    assert.deepEqual([cells[2]?.[3], cells[3]?.at(-1)], ['7', 'az=x']);
  });

  it('prints each change when it watches', async () => {
    const stop = new AbortController();
    const changes: ListedChange[] = [];
    let listed = false;
    const onList = (): void => {
      listed = true;
    };
    const onChange = (change: ListedChange): void => void changes.push(change);
    const options = { prefix: '/s/', timeoutMs: patienceMs, log: silentLog, onList, onChange };
    const done = followRegistry({ hosts: etcd.cluster.urls }, options, stop.signal);
    await until(() => listed);
    await put(etcd.client, '/s/web/w_10.0.0.3:80', '{"host":"10.0.0.3","port":80,"name":"w"}');
    await remove(etcd.client, '/s/web/w_10.0.0.3:80');
    await until(() => changes.length === 2);
    await put(etcd.client, '/s/web/w_10.0.0.4:80', '{"host":"10.0.0.4","port":80,"name":"w","state":"down"}');
    await remove(etcd.client, '/s/web/w_10.0.0.4:80');
    await put(etcd.client, '/s/web/w_10.0.0.5:80', '{"host":"10.0.0.5","port":80,"name":"w"}');
    await until(() => changes.some(({ instance }) => instance?.host === '10.0.0.5'));
    stop.abort();
    await done;
    assert.deepEqual(
      changes.slice(2).map(({ instance, gone }) => [instance?.host, gone]),
      [
        ['10.0.0.4', true],
        ['10.0.0.5', false],
      ],
      'a withdrawn instance is gone when it says so, not once more when its record vanishes',
    );
    const [put1, gone] = changes.map((change) => formatChange(change, plain));
    assert.match(put1 ?? '', /^\S+Z {2}web {2}w_10\.0\.0\.3:80 {2}up {2}\d+\n$/);
    assert.match(gone ?? '', /^\S+Z {2}web {2}w_10\.0\.0\.3:80 {2}gone\n$/);
  });

  it('fails with the reason when etcd does not answer', async () => {
    const onList = (): void => assert.fail('there is no list');
    const options = { prefix: '/s/', timeoutMs: 300, log: silentLog, onList };
    const answer = followRegistry({ hosts: ['http://127.0.0.1:1'] }, options);
    await assert.rejects(answer, /^Error: etcd did not answer within 300 ms: .*connection refused/);
  });
});
