import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import type { Log, LogFields } from '../../../../common/daemon/log.ts';
import { createEtcdClient } from '../../../../common/etcd/client/client.ts';
import { EtcdError } from '../../../../common/etcd/client/errors.ts';
import type { LocalCluster } from '../../../../etcd-cluster/members/local-cluster.ts';
import { etcdVersions, portOf, put, testCluster, testLog } from '../../../support/etcd/etcd.ts';
import { eventually } from '../../../support/eventually.ts';
import { type FaultProxy, startFaultProxy } from '../../../support/servers/fault-proxy.ts';

for (const version of etcdVersions) {
  describe(`the client on etcd ${version}`, () => {
    let cluster: LocalCluster;
    let proxies: readonly FaultProxy[];
    let one = new AbortController();

    before(async () => {
      cluster = await testCluster(version, { size: 1 });
      // Three ways to one member, which can fail differently.
      proxies = await Promise.all([1, 2, 3].map(() => startFaultProxy(portOf(cluster.urls[0] as string))));
    });

    afterEach(async () => {
      one.abort();
      one = new AbortController();
      for (const proxy of proxies) await proxy.heal();
    });

    after(async () => {
      for (const proxy of proxies ?? []) await proxy.close();
      await cluster?.stopAll();
    });

    const connect = (log: Log = testLog(), hosts = proxies.map(({ port }) => `127.0.0.1:${port}`)) =>
      createEtcdClient({ hosts }, { log }, one.signal);

    it('answers while two of three members accept connections and never reply', async () => {
      for (const proxy of proxies.slice(1)) proxy.blackhole();
      const client = connect();
      for (let index = 0; index < 20; index += 1) await put(client, `/client/${index}`, 'x');
      assert.match(client.status.member, new RegExp(`:${proxies[0]?.port}$`));
    });

    it('stays with the member that works', async () => {
      const client = connect();
      const used = new Set<string>();
      for (let index = 0; index < 20; index += 1) {
        await put(client, '/client/a', 'x');
        used.add(client.status.member);
      }
      assert.equal(used.size, 1);
      assert.equal(proxies.filter((proxy) => proxy.connections.size > 0).length, 1);
    });

    it('uses a member again that hung during the connect', async () => {
      const proxy = proxies[0] as FaultProxy;
      const client = connect(testLog(), [`127.0.0.1:${proxy.port}`]);
      proxy.blackhole();
      const call = () =>
        client.call((rpc) => rpc.kv.range({ key: Buffer.from('a') }), { attemptMs: 300, totalMs: 900 });
      await assert.rejects(call(), { name: 'EtcdError', message: /range: no answer in time$/ });
      // The old connections stay dead: only new ones pass.
      proxy.cut();
      await proxy.heal();
      await eventually(() => call().then(() => {}));
    });

    it('gives up after its total time and says why the last member failed', async () => {
      for (const proxy of proxies) await proxy.refuse();
      const client = connect();
      const call = client.call((rpc) => rpc.kv.range({ key: Buffer.from('a') }), { totalMs: 500 });
      await assert.rejects(call, { name: 'EtcdError', message: /127\.0\.0\.1:\d+ range: connection refused$/ });
      assert.match(client.status.reason ?? '', /connection refused/);
    });

    it('does not ask another member after a final answer', async () => {
      const client = connect();
      const seen: unknown[] = [];
      const call = client.call(async (rpc) => {
        seen.push(rpc);
        await rpc.lease.leaseRevoke({ ID: '12345' });
      });
      await assert.rejects(call, (error) => error instanceof EtcdError && /lease not found/.test(error.details));
      assert.equal(seen.length, 1);
      assert.equal(client.status.reason, null);
    });

    it('keeps streams on the old connection when a member gets a new one', async () => {
      const proxy = proxies[0] as FaultProxy;
      const client = connect(testLog(), [`127.0.0.1:${proxy.port}`]);
      await put(client, '/client/a', 'x');
      const watch = await client.open<unknown, { created: boolean }>((rpc) => rpc.watch.watch());
      let alive = true;
      watch.stream.on('error', () => {
        alive = false;
      });
      const before = proxy.connections.size;
      proxy.delay(400);
      const short = () =>
        client.call((rpc) => rpc.kv.range({ key: Buffer.from('a') }), { attemptMs: 100, totalMs: 100 });
      // Several missed deadlines make a connection suspect, unless it is young.
      await eventually(async () => {
        await short().catch(() => {});
        assert.ok(proxy.connections.size > before, 'no new connection was made');
      });
      await proxy.heal();
      await put(client, '/client/a', 'y');
      assert.ok(alive, 'the stream on the old connection was ended');
      const created = new Promise((resolve) => watch.stream.on('data', resolve));
      watch.stream.write({ create_request: { key: Buffer.from('a') } });
      assert.equal(((await created) as { created: boolean }).created, true);
    });

    it('ends calls under way when it is aborted', async () => {
      for (const proxy of proxies) proxy.blackhole();
      const call = put(connect(), '/client/a', 'x');
      setTimeout(() => one.abort(), 50);
      await assert.rejects(call, { name: 'EtcdError', code: status.CANCELLED });
    });

    it('warns once about members whose release has known faults', async () => {
      const warnings: LogFields[] = [];
      const log: Log = {
        ...testLog(),
        warn: (message, fields = {}) => {
          if (/etcd is old/.test(message)) warnings.push(fields);
        },
      };
      const client = connect(log);
      for (let index = 0; index < 5; index += 1) await put(client, '/client/a', 'x');
      await eventually(() =>
        assert.match(client.status.version ?? '', new RegExp(`^${version.replace('.', '\\.')}\\.`)),
      );
      await put(client, '/client/a', 'x');
      assert.equal(warnings.length, version === '3.4' ? 1 : 0);
    });
  });
}

describe('the client of a peer that is not etcd', () => {
  it('rejects a call', async () => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const signal = new AbortController();
    try {
      const client = createEtcdClient({ hosts: [`127.0.0.1:${port}`] }, { log: testLog() }, signal.signal);
      await assert.rejects(
        client.call((rpc) => rpc.kv.range({ key: Buffer.from('a') }), { totalMs: 1_000 }),
        EtcdError,
      );
    } finally {
      signal.abort();
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  });
});
