import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import type { StateReport } from '../../synapse/report/status-shape.ts';
import { startDaemon, type TestDaemon } from '../support/daemons/daemon.ts';
import { put, remove } from '../support/etcd/etcd.ts';
import { withCluster } from '../support/etcd/with-cluster.ts';
import {
  haproxySection,
  type NamedServer,
  namedServer,
  type TestHaproxy,
  testHaproxy,
} from '../support/haproxy/haproxy.ts';
import { type Ec2Server, startEc2Server } from '../support/servers/ec2-server.ts';
import { until } from '../support/until.ts';

/** A service that is in etcd, then only in EC2, then in etcd again, under constant traffic. */
describe('a fallback under traffic', () => {
  const etcd = withCluster('3.4');
  let haproxy: TestHaproxy;
  let ec2: Ec2Server;
  let synapse: TestDaemon | undefined;
  let announced: NamedServer;
  let tagged: NamedServer;
  let port: number;

  before(async () => {
    haproxy = await testHaproxy();
    ec2 = await startEc2Server();
    announced = await namedServer('announced');
    tagged = await namedServer('tagged');
    port = await freePort();
    const tags = { service: 'api' };
    ec2.answer = { kind: 'pages', pages: [[{ id: 'i-1', address: '127.0.0.1', dnsName: 'tagged', tags }]] };
  });
  after(async () => {
    await synapse?.end('SIGKILL');
    await haproxy.close();
    await announced.close();
    await tagged.close();
    await ec2.close();
  });

  const key = (): string => `/nerve/services/api/announced_127.0.0.1:${announced.port}`;
  const announce = (): Promise<number> =>
    put(etcd.client, key(), JSON.stringify({ host: '127.0.0.1', port: announced.port, name: 'announced' }));
  const state = async (): Promise<StateReport> => JSON.parse((await synapse?.get('/api/v1/state'))?.body ?? '');

  it('goes from etcd to EC2 and back without a failed request or an empty set', async () => {
    const config = join(haproxy.folder, 'synapse.json');
    await writeFile(
      config,
      JSON.stringify({
        etcd: { hosts: etcd.cluster.urls },
        admin: { listen: '127.0.0.1:0' },
        services: {
          api: {
            use_previous_backends: false,
            discovery: {
              method: 'etcd',
              fallback: {
                method: 'ec2tag',
                tag_name: 'service',
                tag_value: 'api',
                check_interval: 1,
                port: tagged.port,
                aws_region: 'us-east-1',
                aws_access_key_id: 'AKIDEXAMPLE',
                aws_secret_access_key: 'EXAMPLE',
                endpoint: ec2.endpoint,
                after: '700ms',
              },
            },
            haproxy: { port, listen: ['mode http'] },
          },
        },
        haproxy: haproxySection(haproxy, { restart_interval: '100ms' }),
      }),
    );
    await announce();
    synapse = await startDaemon('synapse', config);
    await until(async () => (await readFile(haproxy.file, 'utf8').catch(() => '')).includes('announced_'));
    await haproxy.start();
    await until(async () => (await synapse?.get('/readyz'))?.status === 200);
    await until(async () => (await fetch(`http://127.0.0.1:${port}/`)).status === 200);
    assert.equal(ec2.calls.length, 0, 'Amazon is not asked while etcd has instances');

    const statuses: number[] = [];
    let going = true;
    const traffic = (async () => {
      while (going) {
        const response = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5_000) });
        await response.text();
        statuses.push(response.status);
      }
    })();
    const uses = (name: string) =>
      until(async () => {
        const [only] = (await state()).services.api?.instances ?? [];
        return only?.name === name;
      });

    await remove(etcd.client, key());
    await uses('tagged');
    assert.ok(ec2.calls.length > 0);
    const seen = statuses.length;
    await until(() => statuses.length > seen + 50);
    // Back in etcd, then gone for less than `after`: synapse stays with etcd.
    await announce();
    await uses('announced');
    const calls = ec2.calls.length;
    await remove(etcd.client, key());
    await announce();
    await uses('announced');
    await until(() => statuses.length > seen + 150);
    going = false;
    await traffic;

    assert.deepEqual([...new Set(statuses)], [200]);
    const emptied = synapse.lines.filter(
      ({ message, instances }) => message === 'instances applied' && instances === 0,
    );
    assert.deepEqual(emptied, []);
    const { api } = (await state()).services;
    assert.deepEqual(
      api?.sources?.map(({ name, method, role }) => [name, method, role]),
      [
        ['primary', 'etcd', 'used'],
        ['fallback', 'ec2tag', 'idle'],
      ],
    );
    assert.equal(ec2.calls.length, calls, 'Amazon is not asked any more');
    const metrics = (await synapse.get('/metrics')).body;
    assert.match(metrics, /^synapse_source_switches_total\{service="api",source="fallback"\} 1$/m);
    assert.match(metrics, /^synapse_source_switches_total\{service="api",source="primary"\} 1$/m);
  });
});
