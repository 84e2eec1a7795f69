import assert from 'node:assert/strict';
import { access, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test';
import { sleep } from '../../../common/async/sleep.ts';
import type { Instance } from '../../../common/instance.ts';
import { freePort, freePorts } from '../../../etcd-cluster/members/ports.ts';
import { eventually } from '../../support/eventually.ts';
import { askSocket, namedServer, type TestHaproxy, testHaproxy } from '../../support/haproxy/haproxy.ts';
import {
  instance,
  type RunningOutput,
  runOutput,
  serviceConfig,
  testConfig,
} from '../../support/haproxy/haproxy-output.ts';
import { type HaproxyVersion, haproxyVersions } from '../../support/haproxy/versions.ts';

// What brings HAProxy down, or loses a reload, when it is handled naively.
describe('known traps of HAProxy', { concurrency: haproxyVersions.length }, () => {
  for (const version of haproxyVersions) describe(`HAProxy ${version}`, { concurrency: 1 }, () => onHaproxy(version));
});

function onHaproxy(version: HaproxyVersion): void {
  let haproxy: TestHaproxy;
  let synapse: RunningOutput;
  let port: number;

  beforeEach(async () => {
    haproxy = await testHaproxy(version);
    port = await freePort();
  });
  afterEach(async () => {
    await synapse?.stop();
    await haproxy.close();
  });

  const inStep = async (instances: readonly Instance[], top: Record<string, unknown> = {}) => {
    const config = serviceConfig({ port, server_options: 'check inter 1s' });
    synapse = runOutput(testConfig(haproxy, top));
    await synapse.apply({ api: { config, instances } });
    await eventually(() => access(haproxy.file));
    await haproxy.start();
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    return config;
  };
  const web = async (t: TestContext, name: string): Promise<Instance> => {
    const server = await namedServer(name);
    t.after(() => server.close());
    return instance(server.port);
  };
  const answer = async (at: number): Promise<string> =>
    (await fetch(`http://127.0.0.1:${at}/`, { headers: { connection: 'close' } })).text();

  it('lives on when servers are removed while somebody reads its statistics slowly', async (t) => {
    const one = await web(t, 'one');
    // Large enough that the reply does not fit into buffers: HAProxy stops in the middle of the list.
    const many = Array.from({ length: 900 }, (_, index) => instance(2_000 + index, { host: '127.0.9.9' }));
    const config = await inStep([one], { delete_servers_after: '100ms' });
    await synapse.apply({ api: { config, instances: [one, ...many] } });
    const pid = await haproxy.workerPid();
    const reader = connect({ path: haproxy.socket });
    t.after(() => reader.destroy());
    reader.write('show stat\n');
    reader.pause();
    await sleep(100);
    // From both ends and out of the middle: one of them is where the reader stands.
    await synapse.apply({ api: { config, instances: [one, ...many.slice(300, 600)] } });
    await synapse.apply({ api: { config, instances: [one] } });
    const left = async () => [...(await haproxy.servers()).keys()].length;
    const deletes = version === '3.2' || version === '3.4';
    if (deletes) await eventually(async () => assert.ok((await left()) < many.length - 100));
    let read = 0;
    reader.on('data', (chunk) => {
      read += chunk.length;
    });
    reader.resume();
    await eventually(() => assert.equal(reader.readableEnded || reader.destroyed, true));
    assert.ok(read > 10_000);
    assert.equal(await haproxy.workerPid(), pid);
    assert.equal(await answer(port), 'one');
    if (!deletes) assert.equal(await left(), many.length + 1);
  });

  it('has the weights that are wanted although a state file of the user brings back old ones', async (t) => {
    const one = await web(t, 'one');
    const stateFile = join(haproxy.folder, 'state');
    await writeFile(stateFile, '1\n');
    const config = await inStep([{ ...one, weight: 3 }], {
      global: ['maxconn 1000', `server-state-file ${stateFile}`],
      defaults: [
        ...['mode http', 'timeout connect 1s', 'timeout client 10s', 'timeout server 10s'],
        'load-server-state-from-file global',
      ],
    });
    const weight = async () => (await haproxy.servers()).get(`api/${one.id}`)?.srv_uweight;
    await haproxy.ask(`set server api/${one.id} weight 9`);
    await writeFile(stateFile, await haproxy.ask('show servers state'));
    await synapse.apply({ api: { config, instances: [{ ...one, weight: 5 }] } });
    await eventually(async () => assert.match(await readFile(haproxy.file, 'utf8'), /weight 5/));
    const pid = await haproxy.workerPid();
    await askSocket(haproxy.master, 'reload');
    await eventually(async () => assert.notEqual(await haproxy.workerPid(), pid));
    await eventually(async () => assert.equal(await weight(), '5'));
    assert.equal(await answer(port), 'one');
    assert.deepEqual(synapse.output.status.pendingReload, []);
  });

  it('knows after a reload which servers had failed their checks, unless that leaves none', async (t) => {
    const [one, two] = [await web(t, 'one'), await web(t, 'two')];
    await inStep([one, two]);
    const slow = serviceConfig({ port, server_options: 'check inter 60s' });
    await synapse.apply({ api: { config: slow, instances: [one, two] } });
    await eventually(() => assert.equal(synapse.reloads(), 1));
    const state = async () => {
      const rows = await haproxy.servers();
      return [one, two].map(({ id }) => rows.get(`api/${id}`)?.srv_op_state === '0');
    };
    // As its own check does; the next one is a minute away.
    await haproxy.ask(`set server api/${one.id} health down`);
    assert.deepEqual(await state(), [true, false]);
    const web0 = { config: serviceConfig({ port: await freePort() }), instances: [two] };
    await synapse.apply({ api: { config: slow, instances: [one, two] }, web0 });
    await eventually(() => assert.equal(synapse.reloads(), 2));
    await eventually(async () => assert.deepEqual(await state(), [true, false]));
    for (let count = 0; count < 6; count++) assert.equal(await answer(port), 'two');
    await haproxy.ask(`set server api/${two.id} health down`);
    await synapse.apply({ api: { config: slow, instances: [one, two] } });
    await eventually(() => assert.equal(synapse.reloads(), 3));
    assert.deepEqual(await state(), [false, false]);
  });

  it('ends with what is wanted when somebody reloads it again and again while synapse does', async (t) => {
    const [one, two] = [await web(t, 'one'), await web(t, 'two')];
    const config = await inStep([one]);
    const ports = await freePorts(4);
    const others: Record<string, { config: typeof config; instances: readonly Instance[] }> = {};
    const [master] = await haproxy.pids();
    for (const [index, at] of ports.entries()) {
      others[`web${index}`] = { config: serviceConfig({ port: at }), instances: [two] };
      // A signal during a reload is lost on 2.6; the master's socket is closed by each reload.
      const foreign = [askSocket(haproxy.master, 'reload', 500), askSocket(haproxy.master, 'reload', 500)];
      process.kill(Number(master), 'SIGUSR2');
      await synapse.apply({ api: { config, instances: [one] }, ...others });
      await Promise.allSettled(foreign);
    }
    await eventually(async () => {
      assert.deepEqual(synapse.output.status.pendingReload, []);
      assert.equal(synapse.output.status.lastError, null);
      const { generation, wantedGeneration } = synapse.output.status;
      assert.equal(generation, wantedGeneration);
      assert.match(await haproxy.ask('show env SYNAPSE_GEN'), new RegExp(String(generation)));
    });
    assert.equal(await answer(port), 'one');
    for (const at of ports) assert.equal(await answer(at), 'two');
  });
}
