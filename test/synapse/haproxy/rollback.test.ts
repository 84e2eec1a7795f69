import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { after, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { exec } from '../../../common/daemon/exec.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { eventually } from '../../support/eventually.ts';
import { type NamedServer, namedServer } from '../../support/haproxy/haproxy.ts';
import { instance, serviceConfig, type TestService } from '../../support/haproxy/haproxy-output.ts';
import { answerOn, type HaproxyInStep, runningHaproxy } from '../../support/haproxy/running-haproxy.ts';
import { type HaproxyVersion, haproxyVersions } from '../../support/haproxy/versions.ts';

describe('a configuration that passes the check and does not load', { concurrency: 2 }, () => {
  for (const version of haproxyVersions) describe(`HAProxy ${version}`, { concurrency: 1 }, () => onHaproxy(version));
});

function onHaproxy(version: HaproxyVersion): void {
  let running: HaproxyInStep;
  let server: NamedServer;
  let ports: number[];
  before(async () => {
    server = await namedServer('hello');
  });
  after(() => server.close());
  beforeEach(async () => {
    ports = [await freePort(), await freePort()];
  });

  const service = (name: string, port: number | undefined, more: Record<string, unknown> = {}): TestService => ({
    config: serviceConfig({ port, backend_name: `${name}.b`, ...more }),
    instances: [instance(server.port)],
  });
  const text = () => readFile(running.haproxy.file, 'utf8');
  const inStep = async (t: TestContext, services: Record<string, TestService>) => {
    running = await runningHaproxy(t, { version, services });
  };

  it('is rolled back; the rest goes live, and the culprit does when its cause is gone', async (t) => {
    const api = service('api', ports[0]);
    await inStep(t, { api });
    const taken = await namedServer('in the way');
    t.after(() => taken.close());
    const web = service('web', taken.port);
    await running.synapse.apply({ api, web });
    await eventually(() => assert.match(running.synapse.output.status.quarantined.web ?? '', /cannot load/));
    if (version !== '2.6') assert.match(running.synapse.output.status.quarantined.web ?? '', /Address already in use/);
    // What is on disk can be loaded: HAProxy may restart at any moment.
    await eventually(async () => assert.doesNotMatch(await text(), /backend web/));
    const check = await exec([running.haproxy.program, '-c', '-f', running.haproxy.file], { timeoutMs: 10_000 });
    assert.equal(check.code, 0, check.stderr);
    await eventually(() =>
      assert.equal(running.synapse.output.status.generation, running.synapse.output.status.wantedGeneration),
    );
    // Another change does not wait for the culprit.
    const more = service('more', ports[1]);
    await running.synapse.apply({ api, web, more });
    await eventually(async () => assert.equal(await answerOn(ports[1]), 'hello'));
    assert.equal(await answerOn(ports[0]), 'hello');
    assert.ok(running.synapse.output.status.quarantined.web);
    await taken.close();
    await eventually(async () => assert.equal(await answerOn(taken.port), 'hello'));
    await eventually(() => assert.deepEqual(running.synapse.output.status.quarantined, {}));
    await eventually(() => assert.equal(running.synapse.output.status.lastError, null));
  });

  it('is rolled back to the last good file when no single service is to blame', async (t) => {
    const api = service('api', ports[0]);
    await inStep(t, { api });
    const before = await text();
    await eventually(async () =>
      assert.equal(await readFile(`${running.haproxy.folder}/etc/.synapse/haproxy.cfg.lkg`, 'utf8'), before),
    );
    const taken = await namedServer('in the way');
    t.after(() => taken.close());
    await running.restart({ top: { extra_sections: { 'frontend extra': [`bind 127.0.0.1:${taken.port}`] } } });
    await running.synapse.apply({ api });
    await eventually(() => assert.match(running.synapse.output.status.rejected ?? '', /keeps the old one/));
    assert.equal(await text(), before);
    assert.equal(await answerOn(ports[0]), 'hello');
    await taken.close();
    await eventually(async () => assert.match(await text(), /frontend extra/));
    await eventually(() => assert.equal(running.synapse.output.status.rejected, null));
    assert.equal(await answerOn(ports[0]), 'hello');
  });

  it('counts old workers that have connections, and delays reloads while they are many', async (t) => {
    const tcp = (index: number) => service('tcp', ports[0], { listen: ['mode tcp', `timeout client ${60 + index}s`] });
    await inStep(t, { tcp: tcp(0) });
    const sockets: Socket[] = [];
    t.after(() => {
      for (const socket of sockets) socket.destroy();
    });
    for (let index = 1; index <= 5; index++) {
      const socket = connect(ports[0] ?? 0, '127.0.0.1');
      sockets.push(socket);
      socket.on('error', () => {});
      // Half a request: the connection stays.
      await new Promise<void>((resolve) => socket.write('GET / HTTP/1.1\r\n', () => resolve()));
      await eventually(async () => assert.match(await running.haproxy.ask('show info'), /^CurrConns: [1-9]/m));
      await running.synapse.apply({ tcp: tcp(index) });
      await eventually(() => assert.equal(running.synapse.reloads(), index));
      await eventually(() => assert.equal(running.synapse.output.status.oldWorkers, index));
    }
    await running.synapse.apply({ tcp: tcp(6) });
    await eventually(async () => assert.match(await text(), /timeout client 66s/));
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    assert.equal(running.synapse.reloads(), 5);
    assert.deepEqual(running.synapse.output.status.pendingReload, ['service tcp has other options']);
    for (const socket of sockets) socket.destroy();
    await eventually(() => assert.equal(running.synapse.reloads(), 6));
    await eventually(() => assert.equal(running.synapse.output.status.oldWorkers, 0));
  });
}
