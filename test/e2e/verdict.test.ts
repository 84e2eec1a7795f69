import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exec } from '../../common/daemon/exec.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import type { ExplainReport } from '../../synapse/report/explain/explain-shape.ts';
import type { StatusReport } from '../../synapse/report/status-shape.ts';
import { programPath, startDaemon, type TestDaemon } from '../support/daemons/daemon.ts';
import { put, remove } from '../support/etcd/etcd.ts';
import { withCluster } from '../support/etcd/with-cluster.ts';
import { eventually, patienceMs } from '../support/eventually.ts';
import { haproxySection, type TestHaproxy, testHaproxy } from '../support/haproxy/haproxy.ts';
import { until } from '../support/until.ts';

/**
 * An announced instance behind which nothing listens: every request fails, whatever the registry says. The tests follow each
 * other: each starts where the previous one ended.
 */
describe('the verdict on services whose instances do not answer', () => {
  const etcd = withCluster('3.5');
  let haproxy: TestHaproxy;
  let synapse: TestDaemon;
  let config: string;
  let ports: { readonly checked: number; readonly unchecked: number };
  /** Service → the port of its instance, on which nothing listens. */
  const silent = new Map<string, number>();

  before(async () => {
    haproxy = await testHaproxy();
    ports = { checked: await freePort(), unchecked: await freePort() };
    for (const service of ['checked', 'unchecked']) {
      silent.set(service, await freePort());
      await announce(service);
    }
    const service = (port: number, more: object = {}) => ({
      discovery: { method: 'etcd' },
      haproxy: { port, listen: ['mode http'], ...more },
    });
    config = join(haproxy.folder, 'synapse.json');
    const value = {
      etcd: { hosts: etcd.cluster.urls },
      admin: { listen: `127.0.0.1:${await freePort()}` },
      services: {
        checked: service(ports.checked, { server_options: 'check inter 200ms' }),
        unchecked: service(ports.unchecked),
      },
      haproxy: haproxySection(haproxy, { restart_interval: 0 }),
    };
    await writeFile(config, JSON.stringify(value));
    await haproxy.startEmpty();
    synapse = await startDaemon('synapse', config);
    await until(async () => (await synapse.get('/readyz')).status === 200);
  });
  after(async () => {
    await synapse?.end('SIGKILL');
    await haproxy.close();
  });

  const keyOf = (service: string): string => `/nerve/services/${service}/one_127.0.0.1:${silent.get(service)}`;
  const announce = (service: string): Promise<number> =>
    put(etcd.client, keyOf(service), JSON.stringify({ host: '127.0.0.1', port: silent.get(service), name: 'one' }));

  async function command<Report>(name: string, ...rest: readonly string[]): Promise<Report> {
    const argv = [process.execPath, programPath('synapse'), name, ...rest, '-c', config, '--json'] as const;
    return JSON.parse((await exec(argv, { timeoutMs: patienceMs })).stdout);
  }

  async function kinds(): Promise<readonly string[]> {
    const { problems } = await command<StatusReport>('status');
    return problems.map(({ kind }) => kind);
  }

  const fetchStatus = async (port: number): Promise<number> => (await fetch(`http://127.0.0.1:${port}/`)).status;

  it('says that no server takes traffic, while the registry has an instance that is up', async () => {
    await eventually(async () => assert.equal(await fetchStatus(ports.checked), 503));
    await eventually(async () => {
      const { problems, services } = await command<StatusReport>('status');
      const found = problems.find(({ kind }) => kind === 'no_server_usable');
      assert.deepEqual([found?.level, services.checked?.instances?.length], ['bad', 1]);
      assert.match(found?.title ?? '', /checked/);
      assert.equal(found?.command, 'synapse explain checked');
      assert.ok(Date.parse(found?.since ?? '') > 0, found?.since ?? 'no time');
      assert.deepEqual(services.checked?.haproxy?.servers, { up: 0, unchecked: 0, down: 1, out: 0 });
    });
  });

  it('does not make synapse unready, because the failure is not its own', async () => {
    assert.equal((await synapse.get('/readyz')).status, 200);
  });

  it('is in the metrics, where an alert sees it', async () => {
    const { body } = await synapse.get('/metrics');
    for (const [status, count] of Object.entries({ up: 0, unchecked: 0, down: 1, out: 0 })) {
      assert.match(
        body,
        new RegExp(`^synapse_haproxy_servers\\{service="checked",status="${status}"\\} ${count}$`, 'm'),
      );
    }
  });

  it('is what synapse explain says of the service', async () => {
    const { notes } = await command<ExplainReport>('explain', 'checked');
    assert.ok(
      notes.some((note) => /HAProxy: 0 of 1 servers take traffic; 1 down/.test(note)),
      notes.join('\n'),
    );
  });

  it('counts the requests that fail where HAProxy does not check the servers', async () => {
    await eventually(async () => {
      assert.equal(await fetchStatus(ports.unchecked), 503);
      const { problems, services } = await command<StatusReport>('status');
      const found = problems.find(({ kind, subjects }) => kind === 'requests_fail' && subjects.includes('unchecked'));
      assert.equal(found?.level, 'bad', JSON.stringify(services.unchecked?.haproxy));
      assert.deepEqual(services.unchecked?.haproxy?.servers, { up: 0, unchecked: 1, down: 0, out: 0 });
    });
  });

  it('stays when the last instance is withdrawn and kept as the previous one', async () => {
    await remove(etcd.client, keyOf('checked'));
    await eventually(async () => {
      const found = await kinds();
      assert.ok(found.includes('previous_in_use') && found.includes('no_server_usable'), found.join());
    });
  });

  it('is read from HAProxy also while synapse is down', async () => {
    await announce('checked');
    await eventually(async () => {
      const { services } = await command<StatusReport>('status');
      assert.equal(services.checked?.origin, 'discovered');
    });
    await synapse.end('SIGKILL');
    const { problems } = await command<StatusReport>('status');
    assert.ok(
      problems.some(({ kind }) => kind === 'no_server_usable'),
      JSON.stringify(problems),
    );
  });
});
