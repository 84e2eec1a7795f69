import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { sleep } from '../../../common/async/sleep.ts';
import type { Instance } from '../../../common/instance.ts';
import { freePort, freePorts } from '../../../etcd-cluster/members/ports.ts';
import { eventually } from '../../support/eventually.ts';
import { askSocket } from '../../support/haproxy/haproxy.ts';
import { instance, serviceConfig } from '../../support/haproxy/haproxy-output.ts';
import { answerOn, type HaproxyInStep, runningHaproxy, webInstance } from '../../support/haproxy/running-haproxy.ts';
import { type HaproxyVersion, haproxyVersions } from '../../support/haproxy/versions.ts';
import { tempFolder } from '../../support/temp-folder.ts';

// Uses of HAProxy that make it crash or lose a reload, unless synapse avoids them.
describe('known traps of HAProxy', { concurrency: haproxyVersions.length }, () => {
  for (const version of haproxyVersions) describe(`HAProxy ${version}`, { concurrency: 1 }, () => onHaproxy(version));
});

function onHaproxy(version: HaproxyVersion): void {
  let running: HaproxyInStep;
  let port: number;

  const inStep = async (t: TestContext, instances: readonly Instance[], top: Record<string, unknown> = {}) => {
    port = await freePort();
    const config = serviceConfig({ port, server_options: 'check inter 1s' });
    running = await runningHaproxy(t, { version, top, services: { api: { config, instances } } });
    return config;
  };

  it('does not crash when servers are removed while a client reads its statistics slowly', async (t) => {
    const one = await webInstance(t, 'one');
    // The reply does not fit into the buffers, so HAProxy stops in the middle of the list.
    const many = Array.from({ length: 900 }, (_, index) => instance(2_000 + index, { host: '127.0.9.9' }));
    const config = await inStep(t, [one], { delete_servers_after: '100ms' });
    await running.synapse.apply({ api: { config, instances: [one, ...many] } });
    const pid = await running.haproxy.workerPid();
    const reader = connect({ path: running.haproxy.socket });
    t.after(() => reader.destroy());
    reader.write('show stat\n');
    reader.pause();
    await sleep(100);
    // Servers at both ends and in the middle go, so the server where the reader stands is among them.
    await running.synapse.apply({ api: { config, instances: [one, ...many.slice(300, 600)] } });
    await running.synapse.apply({ api: { config, instances: [one] } });
    const left = async () => [...(await running.haproxy.servers()).keys()].length;
    const deletes = version === '3.2' || version === '3.4';
    if (deletes) await eventually(async () => assert.ok((await left()) < many.length - 100));
    let read = 0;
    reader.on('data', (chunk) => {
      read += chunk.length;
    });
    reader.resume();
    await eventually(() => assert.equal(reader.readableEnded || reader.destroyed, true));
    assert.ok(read > 10_000);
    assert.equal(await running.haproxy.workerPid(), pid);
    assert.equal(await answerOn(port), 'one');
    if (!deletes) assert.equal(await left(), many.length + 1);
  });

  it("has the desired weights although the user's state file brings back old ones", async (t) => {
    const one = await webInstance(t, 'one');
    const stateFile = join(await tempFolder(t), 'state');
    await writeFile(stateFile, '1\n');
    const config = await inStep(t, [{ ...one, weight: 3 }], {
      global: ['maxconn 1000', `server-state-file ${stateFile}`],
      defaults: [
        ...['mode http', 'timeout connect 1s', 'timeout client 10s', 'timeout server 10s'],
        'load-server-state-from-file global',
      ],
    });
    const weight = async () => (await running.haproxy.servers()).get(`api/${one.id}`)?.srv_uweight;
    await running.haproxy.ask(`set server api/${one.id} weight 9`);
    await writeFile(stateFile, await running.haproxy.ask('show servers state'));
    await running.synapse.apply({ api: { config, instances: [{ ...one, weight: 5 }] } });
    await eventually(async () => assert.match(await readFile(running.haproxy.file, 'utf8'), /weight 5/));
    const pid = await running.haproxy.workerPid();
    await askSocket(running.haproxy.master, 'reload');
    await eventually(async () => assert.notEqual(await running.haproxy.workerPid(), pid));
    await eventually(async () => assert.equal(await weight(), '5'));
    assert.equal(await answerOn(port), 'one');
    assert.deepEqual(running.synapse.output.status.pendingReload, []);
  });

  it('sends nothing to failed servers after a reload, unless all servers have failed', async (t) => {
    const [one, two] = [await webInstance(t, 'one'), await webInstance(t, 'two')];
    await inStep(t, [one, two]);
    const slow = serviceConfig({ port, server_options: 'check inter 60s' });
    await running.synapse.apply({ api: { config: slow, instances: [one, two] } });
    await eventually(() => assert.equal(running.synapse.reloads(), 1));
    const state = async () => {
      const rows = await running.haproxy.servers();
      return [one, two].map(({ id }) => rows.get(`api/${id}`)?.srv_op_state === '0');
    };
    // This is what a failed check does. The next check is a minute away.
    await running.haproxy.ask(`set server api/${one.id} health down`);
    assert.deepEqual(await state(), [true, false]);
    const web0 = { config: serviceConfig({ port: await freePort() }), instances: [two] };
    await running.synapse.apply({ api: { config: slow, instances: [one, two] }, web0 });
    await eventually(() => assert.equal(running.synapse.reloads(), 2));
    await eventually(async () => assert.deepEqual(await state(), [true, false]));
    for (let count = 0; count < 6; count++) assert.equal(await answerOn(port), 'two');
    await running.haproxy.ask(`set server api/${two.id} health down`);
    await running.synapse.apply({ api: { config: slow, instances: [one, two] } });
    await eventually(() => assert.equal(running.synapse.reloads(), 3));
    assert.deepEqual(await state(), [false, false]);
  });

  it('runs the desired configuration after many foreign reloads during reloads of synapse', async (t) => {
    const [one, two] = [await webInstance(t, 'one'), await webInstance(t, 'two')];
    const config = await inStep(t, [one]);
    const ports = await freePorts(4);
    const others: Record<string, { config: typeof config; instances: readonly Instance[] }> = {};
    const [master] = await running.haproxy.pids();
    for (const [index, at] of ports.entries()) {
      others[`web${index}`] = { config: serviceConfig({ port: at }), instances: [two] };
      // A signal during a reload is lost on 2.6; the master's socket is closed by each reload.
      const foreign = [
        askSocket(running.haproxy.master, 'reload', 500),
        askSocket(running.haproxy.master, 'reload', 500),
      ];
      process.kill(Number(master), 'SIGUSR2');
      await running.synapse.apply({ api: { config, instances: [one] }, ...others });
      await Promise.allSettled(foreign);
    }
    await eventually(async () => {
      assert.deepEqual(running.synapse.output.status.pendingReload, []);
      assert.equal(running.synapse.output.status.lastError, null);
      const { generation, wantedGeneration } = running.synapse.output.status;
      assert.equal(generation, wantedGeneration);
      assert.match(await running.haproxy.ask('show env SYNAPSE_GEN'), new RegExp(String(generation)));
    });
    assert.equal(await answerOn(port), 'one');
    for (const at of ports) assert.equal(await answerOn(at), 'two');
  });
}
