import assert from 'node:assert/strict';
import { access, readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test';
import type { Instance } from '../../../../common/instance.ts';
import { freePortRow } from '../../../../etcd-cluster/members/ports.ts';
import { eventually } from '../../../support/eventually.ts';
import { namedServer, type TestHaproxy, testHaproxy } from '../../../support/haproxy/haproxy.ts';
import {
  instance,
  type RunningOutput,
  runOutput,
  serviceConfig,
  testConfig,
} from '../../../support/haproxy/haproxy-output.ts';
import { type HaproxyVersion, haproxyVersions } from '../../../support/haproxy/versions.ts';

describe('services without a reload, on a real HAProxy', { concurrency: haproxyVersions.length }, () => {
  for (const version of haproxyVersions) describe(`HAProxy ${version}`, { concurrency: 1 }, () => onHaproxy(version));
});

function onHaproxy(version: HaproxyVersion): void {
  let haproxy: TestHaproxy;
  let synapse: RunningOutput;
  /** The first of four ports in a row. */
  let port: number;
  const http = { listen: ['mode http'], server_options: 'check inter 1s' };

  beforeEach(async () => {
    haproxy = await testHaproxy(version);
    port = await freePortRow(4);
  });
  afterEach(async () => {
    await synapse?.stop();
    await haproxy.close();
  });

  const start = () => {
    const top = { reload_free_services: { ports: `${port}-${port + 3}`, listen: ['mode http'] } };
    synapse = runOutput(testConfig(haproxy, top));
  };
  const inStep = async (services: Parameters<RunningOutput['apply']>[0]) => {
    start();
    await synapse.apply(services);
    await eventually(() => access(haproxy.file));
    await haproxy.start();
    await isConnected();
  };
  const isConnected = () =>
    eventually(() => {
      assert.equal(synapse.output.status.sockets[0]?.connected, true);
      assert.deepEqual(synapse.output.status.pendingReload, []);
    });
  const web = async (t: TestContext, name: string): Promise<Instance> => {
    const server = await namedServer(name);
    t.after(() => server.close());
    return instance(server.port);
  };
  const get = async (at: number): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${at}/`, { headers: { connection: 'close' } });
    const text = await response.text();
    return response.status === 200 ? text : String(response.status);
  };

  it('a service comes, changes and goes without a reload, served by the same worker', async (t) => {
    const [one, two] = [await web(t, 'one'), await web(t, 'two')];
    const api = { config: serviceConfig({ port, ...http }), instances: [one] };
    await inStep({ api });
    assert.equal(await get(port), 'one');
    assert.equal(await get(port + 1), '503');
    const pid = await haproxy.workerPid();

    const shop = { config: serviceConfig({ port: port + 1, ...http, server_options: 'weight 7' }), instances: [two] };
    await synapse.apply({ api, shop });
    assert.equal(await get(port + 1), 'two');
    assert.equal(await get(port), 'one');
    assert.deepEqual(synapse.output.status.reloadFree?.backends, { api: `port-${port}`, shop: `port-${port + 1}` });
    assert.equal((await haproxy.servers()).get(`port-${port + 1}/${two.id}`)?.srv_uweight, '7');

    // A service whose port is taken gets it as soon as it is free.
    const late = { config: serviceConfig({ port, ...http }), instances: [two] };
    await synapse.apply({ api, shop, late });
    assert.equal(synapse.output.status.problems.late, `its port ${port} is that of services.api.haproxy.port already`);
    await synapse.apply({ shop, late });
    assert.equal(await get(port), 'two');
    assert.deepEqual(synapse.output.status.problems, {});
    await synapse.apply({ shop });
    assert.equal(await get(port), '503');
    assert.equal(await get(port + 1), 'two');
    // Another one on the port of the first, with the instance of the second.
    const news = { config: serviceConfig({ port, ...http }), instances: [two] };
    await synapse.apply({ shop, news });
    assert.equal(await get(port), 'two');
    assert.equal(synapse.reloads(), 0);
    assert.equal(await haproxy.workerPid(), pid);
    await eventually(async () =>
      assert.match(await readFile(haproxy.file, 'utf8'), new RegExp(`backend port-${port}\n.*\n.*${two.id}`)),
    );
  });

  it('services keep their ports over a restart of synapse and of HAProxy, without a reload', async (t) => {
    const [one, two] = [await web(t, 'one'), await web(t, 'two')];
    const api = { config: serviceConfig({ port, ...http }), instances: [one] };
    const shop = { config: serviceConfig({ port: port + 1, ...http }), instances: [two] };
    await inStep({ api });
    await synapse.apply({ api, shop });
    const pid = await haproxy.workerPid();
    await synapse.stop();
    start();
    await synapse.apply({ api, shop });
    await isConnected();
    assert.equal(await get(port + 1), 'two');
    assert.equal(synapse.reloads(), 0);
    assert.equal(await haproxy.workerPid(), pid);
    // A service that went while synapse was away.
    await synapse.stop();
    start();
    await synapse.apply({ shop });
    await isConnected();
    await eventually(async () => assert.equal(await get(port), '503'));
    assert.equal(synapse.reloads(), 0);
    await eventually(async () => assert.doesNotMatch(await readFile(haproxy.file, 'utf8'), new RegExp(one.id)));
    await haproxy.kill();
    await haproxy.start();
    assert.equal(await get(port + 1), 'two');
    assert.equal(await get(port), '503');
  });

  it('a service with lines of its own gets a frontend of its own by a reload, and frees its port when it goes', async (t) => {
    const [one, two] = [await web(t, 'one'), await web(t, 'two')];
    const api = { config: serviceConfig({ port, ...http }), instances: [one] };
    await inStep({ api });
    const other = {
      config: serviceConfig({ port: port + 2, listen: ['mode http', 'timeout server 3s'] }),
      instances: [two],
    };
    await synapse.apply({ api, other });
    await eventually(() => assert.equal(synapse.reloads(), 1));
    await eventually(async () => assert.equal(await get(port + 2), 'two'));
    assert.equal(await get(port), 'one');
    assert.deepEqual(synapse.output.status.reloadFree?.others, {
      other: 'its backend has other lines than reload_free_services',
    });
    await synapse.apply({ api });
    await eventually(() => assert.equal(synapse.reloads(), 2));
    await eventually(() => assert.deepEqual(synapse.output.status.pendingReload, []));
    await synapse.apply({ api, shop: { config: serviceConfig({ port: port + 2, ...http }), instances: [two] } });
    // At once, or as soon as the new worker has been read.
    await eventually(async () => assert.equal(await get(port + 2), 'two'));
    assert.equal(synapse.reloads(), 2);
  });
}
