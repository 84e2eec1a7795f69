import assert from 'node:assert/strict';
import { access } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { sleep } from '../../common/async/sleep.ts';
import type { Instance } from '../../common/instance.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import { eventually } from '../support/eventually.ts';
import { testHaproxy } from '../support/haproxy/haproxy.ts';
import { instance, runOutput, serviceConfig, type TestService, testConfig } from '../support/haproxy/haproxy-output.ts';
import { haproxyVersions } from '../support/haproxy/versions.ts';
import { steadyLoad } from '../support/process/wrk.ts';

const changes = 500;
const reloads = 20;

/** Traffic on connections that are kept and on a new one for each request, while everything changes. */
describe(`${changes} membership changes and ${reloads} reloads under load`, () => {
  for (const version of haproxyVersions) {
    it(`lose no request on HAProxy ${version}`, async (t) => {
      const servers = await Promise.all(Array.from({ length: 6 }, webServer));
      const haproxy = await testHaproxy(version);
      const [port, other] = [await freePort(), await freePort()];
      const synapse = runOutput(testConfig(haproxy, { restart_interval: '1ms' }));
      t.after(async () => {
        await synapse.stop();
        await haproxy.close();
        for (const server of servers) server.closeAllConnections();
        for (const server of servers) server.close();
      });
      const all = servers.map((server) => instance((server.address() as AddressInfo).port));
      const api = serviceConfig({ port });
      const services: Record<string, TestService> = { api: { config: api, instances: all } };
      await synapse.apply({ ...services });
      await eventually(() => access(haproxy.file));
      await haproxy.start();
      await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
      const worker = await haproxy.workerPid();

      const loads = await Promise.all([steadyLoad(t, port), steadyLoad(t, port, { close: true })]);
      for (let n = 0; n < changes; n++) {
        services.api = { config: api, instances: membersAt(n, all) };
        await synapse.apply({ ...services });
        await sleep(10);
      }
      assert.equal(await haproxy.workerPid(), worker, 'membership changes need no other worker');
      assert.equal(synapse.reloads(), 0);
      for (let n = 1; n <= reloads; n++) {
        // Another option of another service each time: only a reload brings that.
        services.web = { config: serviceConfig({ port: other, backend: [`retries ${n}`] }), instances: all };
        services.api = { config: api, instances: membersAt(n, all) };
        await synapse.apply({ ...services });
        await eventually(() => assert.equal(synapse.reloads(), n));
      }
      for (const end of loads) await end();
    });
  }
});

async function webServer(): Promise<Server> {
  const server = createServer((_, response) => response.end('ok\n'));
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/** The n-th membership: an instance is missing, drained or has another weight. */
function membersAt(n: number, all: readonly Instance[]): readonly Instance[] {
  const chosen = n % all.length;
  if (n % 3 === 0) return all.filter((_, index) => index !== chosen);
  const change: Partial<Instance> = n % 3 === 1 ? { state: 'drain' } : { weight: 1 + (n % 50) };
  return all.map((one, index) => (index === chosen ? { ...one, ...change } : one));
}
