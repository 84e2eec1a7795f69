import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import { startDaemon, type TestDaemon } from '../support/daemons/daemon.ts';
import { dump, portOf, put } from '../support/etcd/etcd.ts';
import { withCluster } from '../support/etcd/with-cluster.ts';
import {
  haproxySection,
  type NamedServer,
  namedServer,
  type TestHaproxy,
  testHaproxy,
} from '../support/haproxy/haproxy.ts';
import { until } from '../support/until.ts';

/** The tests follow each other: each starts where the previous one ended. */
describe('a host that speaks IPv6 only', () => {
  const etcd = withCluster('3.5');
  let door: Server;
  let haproxy: TestHaproxy;
  let nerve: TestDaemon;
  let synapse: TestDaemon;
  let server: NamedServer;
  let port: number;

  before(async () => {
    // The one way to etcd that the daemons know.
    door = createServer((inside) => {
      const outside = connect({ host: '127.0.0.1', port: portOf(etcd.cluster.urls[0] ?? '') });
      inside.pipe(outside).pipe(inside);
      for (const [one, other] of [
        [inside, outside],
        [outside, inside],
      ] as const) {
        one.on('error', () => {});
        one.on('close', () => other.destroy());
      }
    });
    await new Promise<void>((resolve) => door.listen(0, '::1', resolve));
    const endpoints = { hosts: [`http://[::1]:${(door.address() as AddressInfo).port}`] };
    haproxy = await testHaproxy();
    server = await namedServer('six', '::1');
    port = await freePort();
    const checks = [{ type: 'http', uri: '/' }, { type: 'tcp' }];
    const announcing = {
      instance_id: 'i-6',
      etcd: endpoints,
      admin: { listen: '[::1]:0', control_socket: join(haproxy.folder, 'nerve.sock') },
      state_file_path: false,
      services: { api: { host: '::1', port: server.port, check_interval: 0.1, checks } },
    };
    const balancing = {
      etcd: endpoints,
      admin: { listen: '[::1]:0' },
      services: {
        api: {
          discovery: { method: 'etcd' },
          haproxy: { port, bind_address: '::1', server_options: 'check inter 1s' },
        },
      },
      haproxy: haproxySection(haproxy),
    };
    const files = [join(haproxy.folder, 'nerve.json'), join(haproxy.folder, 'synapse.json')] as const;
    await writeFile(files[0], JSON.stringify(announcing));
    await writeFile(files[1], JSON.stringify(balancing));
    nerve = await startDaemon('nerve', files[0]);
    synapse = await startDaemon('synapse', files[1]);
  });
  after(async () => {
    await nerve?.end('SIGKILL');
    await synapse?.end('SIGKILL');
    await haproxy?.close();
    await server?.close();
    door?.close();
  });

  it('is checked, announced and found at its address', async () => {
    const key = `/nerve/services/api/i-6_::1:${server.port}`;
    await until(async () => Object.keys(await dump(etcd.client, '/nerve/')).includes(key));
    await until(async () => (await readFile(haproxy.file, 'utf8').catch(() => '')).includes(` ::1:${server.port} `));
    assert.match(await readFile(haproxy.file, 'utf8'), new RegExp(`bind \\[?::1\\]?:${port}`));
  });

  it('is reached through HAProxy', async () => {
    await haproxy.start();
    await until(async () => {
      const response = await fetch(`http://[::1]:${port}/`, { signal: AbortSignal.timeout(5_000) });
      return (await response.text()) === 'six';
    });
    await until(async () => (await synapse.get('/readyz')).status === 200);
  });

  it('stays reachable while the registry is empty, and follows a new instance without a reload', async () => {
    const worker = await haproxy.workerPid();
    nerve.kill('SIGTERM');
    await until(async () => Object.keys(await dump(etcd.client, '/nerve/')).length === 0);
    // The last ones stay in force while the registry has none.
    await until(async () => (await fetch(`http://[::1]:${port}/`)).status === 200);
    nerve = await startDaemon('nerve', join(haproxy.folder, 'nerve.json'));
    const second = await namedServer('second', '::1');
    try {
      const record = JSON.stringify({ host: '::1', port: second.port, name: 'i-7' });
      await put(etcd.client, `/nerve/services/api/i-7_::1:${second.port}`, record);
      await until(async () => (await (await fetch(`http://[::1]:${port}/`)).text()) === 'second');
      assert.equal(await haproxy.workerPid(), worker);
    } finally {
      await second.close();
    }
  });
});
