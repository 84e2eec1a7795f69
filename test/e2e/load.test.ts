import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { Etcd3 } from 'etcd3';
import { sleep } from '../../common/async/sleep.ts';
import { formatInstance, type Instance, makeInstance } from '../../common/instance.ts';
import { readServers, workerPid } from '../../deploy/demo/haproxy.ts';
import { type Stack, startStack } from '../../deploy/demo/stack.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import { eventually } from '../support/eventually.ts';
import { steadyLoad } from '../support/process/wrk.ts';

const changes = 200;

describe('200 membership changes under load', () => {
  let stack: Stack;
  let etcd: Etcd3;
  const servers: Server[] = [];
  const addresses: { host: string; port: number }[] = [];
  const live = new Map<string, Instance>();

  before(async () => {
    stack = await startStack({ services: ['api'], instancesPerService: 1 });
    etcd = new Etcd3({ hosts: [...stack.etcd.urls] });
    for (let i = 0; i < 6; i++) {
      const server = createServer((_, response) => response.end('ok\n'));
      server.keepAliveTimeout = 60_000;
      const port = await freePort();
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
      servers.push(server);
      addresses.push({ host: '127.0.0.1', port });
    }
  });
  after(async () => {
    etcd?.close();
    for (const server of servers) server.closeAllConnections();
    for (const server of servers) server.close();
    await stack?.stop();
  });

  const put = async (instance: Instance): Promise<void> => {
    live.set(instance.id, instance);
    await etcd.put(`/nerve/services/api/${instance.id}`).value(formatInstance(instance));
  };
  const withdraw = async (instance: Instance): Promise<void> => {
    live.delete(instance.id);
    const key = `/nerve/services/api/${instance.id}`;
    await etcd.put(key).value(formatInstance(makeInstance({ ...instance, state: 'down' })));
    await etcd.delete().key(key);
  };
  /** The n-th change: a new instance, a drain, an undrain, another weight, or a withdrawal. */
  const change = async (n: number): Promise<void> => {
    const [oldest] = live.values();
    const address = addresses[n % addresses.length] as { host: string; port: number };
    if (oldest === undefined || n % 5 === 0) await put(makeInstance({ name: `load-${n}`, ...address }));
    else if (n % 5 === 1) await put(makeInstance({ ...oldest, state: 'drain' }));
    else if (n % 5 === 2) await put(makeInstance({ ...oldest, state: 'up' }));
    else if (n % 5 === 3) await put(makeInstance({ ...oldest, weight: 1 + (n % 100) }));
    else if (live.size > 3) await withdraw(oldest);
    else await put(makeInstance({ name: `load-${n}`, ...address }));
  };

  it('fails no request, reloads nothing and ends with HAProxy equal to the registry', async (t) => {
    const worker = await workerPid(stack.haproxy.socket);
    const endLoad = await steadyLoad(t, stack.ports.api as number);
    for (let n = 0; n < changes; n++) {
      await change(n);
      // A pause, so that changes and requests really meet.
      await sleep(50);
    }
    await endLoad();
    assert.equal(await workerPid(stack.haproxy.socket), worker);
    await eventually(async () => {
      const rows = (await readServers(stack.haproxy.socket)).filter(({ name }) => name.startsWith('load-'));
      const serving = rows.filter(({ state }) => state !== 'maintenance').map(({ name }) => name);
      assert.deepEqual(serving.sort(), [...live.keys()].sort());
    });
  });
});
