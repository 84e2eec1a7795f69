import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { etcdVersions, remove } from '../../support/etcd/etcd.ts';
import { withCluster } from '../../support/etcd/with-cluster.ts';
import { eventually } from '../../support/eventually.ts';
import { about, announce, apiKey, ask, startFleetHost } from '../../support/fleet/fleet-host.ts';
import { askSocket, namedServer } from '../../support/haproxy/haproxy.ts';
import { haproxyVersions } from '../../support/haproxy/versions.ts';

const cookie = { backend: ['mode http', 'cookie SRV insert indirect nocache'] };

for (const etcdVersion of etcdVersions) {
  describe(`a drain in a backend with a cookie, with etcd ${etcdVersion}`, () => {
    const etcd = withCluster(etcdVersion);

    /** Two instances; the answers of the first one to `/slow` end when the test says so. */
    const instances = async (t: TestContext) => {
      const open: (() => void)[] = [];
      const first = createServer((request, response) => {
        if (request.url === '/slow') {
          response.write('begun');
          open.push(() => response.end());
        } else response.end('first');
      });
      await new Promise<void>((resolve) => first.listen(0, '127.0.0.1', resolve));
      const { port } = first.address() as AddressInfo;
      const second = await namedServer('second');
      t.after(async () => {
        first.close();
        first.closeAllConnections();
        await second.close();
        for (const one of [port, second.port]) await remove(etcd.client, apiKey(one));
      });
      await announce(etcd.client, port);
      await announce(etcd.client, second.port);
      return { port, finish: () => open.splice(0).map((end) => end()) };
    };

    /** Who answers a client that belongs to this server. */
    const answerTo = async (port: number, server: string): Promise<string> => {
      const headers = { cookie: `SRV=${server}`, connection: 'close' };
      return await (await fetch(`http://127.0.0.1:${port}/`, { headers })).text();
    };

    /** Begins a request of such a client that lasts. */
    const begin = async (t: TestContext, port: number, server: string): Promise<void> => {
      const socket = connect(port, '127.0.0.1');
      t.after(() => socket.destroy());
      socket.write(`GET /slow HTTP/1.1\r\nhost: a\r\ncookie: SRV=${server}\r\nconnection: close\r\n\r\n`);
      await new Promise((resolve) => socket.once('data', resolve));
    };

    for (const version of haproxyVersions) {
      it(`closes the server of HAProxy ${version} when nothing is open, until it is drained no more`, async (t) => {
        const { port, finish } = await instances(t);
        const host = await startFleetHost(t, { etcd: etcd.cluster.urls, version, api: cookie });
        const server = `i${port}_127.0.0.1:${port}`;
        await eventually(async () => assert.equal(await answerTo(host.port, server), 'first'));
        await begin(t, host.port, server);

        await announce(etcd.client, port, { state: 'drain' });
        const asking = ask(etcd.client, about(port, 'drained'));
        await eventually(() => assert.match(asking.last?.reason ?? '', /1 connection/));
        assert.equal(await answerTo(host.port, server), 'first', 'its clients come back while something is open');
        finish();
        const { outcome, reason } = await asking.answer;
        assert.equal(outcome, 'done', reason ?? '');
        assert.equal(await answerTo(host.port, server), 'second');
        assert.match(await readFile(host.haproxy.file, 'utf8'), new RegExp(`server ${server} .* disabled`));

        const before = await host.haproxy.workerPid();
        await askSocket(host.haproxy.master, 'reload', 5_000).catch(() => {});
        await eventually(async () => assert.notEqual(await host.haproxy.workerPid(), before));
        for (let count = 0; count < 20; count++) assert.equal(await answerTo(host.port, server), 'second');

        await announce(etcd.client, port);
        const up = await ask(etcd.client, about(port, 'up')).answer;
        assert.equal(up.outcome, 'done', up.reason ?? '');
        assert.equal(await answerTo(host.port, server), 'first');
        assert.doesNotMatch(await readFile(host.haproxy.file, 'utf8'), /disabled/);
      });
    }

    it('closes the server after sticky_drain_timeout, and is over when the last request has ended', async (t) => {
      const { port, finish } = await instances(t);
      const haproxy = { sticky_drain_timeout: '300ms' };
      const host = await startFleetHost(t, { etcd: etcd.cluster.urls, api: cookie, haproxy });
      const server = `i${port}_127.0.0.1:${port}`;
      await eventually(async () => assert.equal(await answerTo(host.port, server), 'first'));
      await begin(t, host.port, server);
      await announce(etcd.client, port, { state: 'drain' });
      const asking = ask(etcd.client, about(port, 'drained'));
      await eventually(async () => assert.equal(await answerTo(host.port, server), 'second'));
      assert.equal(asking.last?.outcome, 'waiting');
      finish();
      assert.equal((await asking.answer).outcome, 'done');
    });

    it('leaves the server closed when synapse starts again, and opens it when it is drained no more', async (t) => {
      const { port } = await instances(t);
      const host = await startFleetHost(t, { etcd: etcd.cluster.urls, api: cookie });
      const server = `i${port}_127.0.0.1:${port}`;
      await announce(etcd.client, port, { state: 'drain' });
      assert.equal((await ask(etcd.client, about(port, 'drained')).answer).outcome, 'done');
      await host.restart();
      assert.equal((await ask(etcd.client, about(port, 'drained')).answer).outcome, 'done');
      assert.equal((await host.haproxy.servers()).get(`api/${server}`)?.srv_admin_state, '1');
      await announce(etcd.client, port);
      assert.equal((await ask(etcd.client, about(port, 'up')).answer).outcome, 'done');
      assert.equal(await answerTo(host.port, server), 'first');
    });

    it('does not close the server as long as no command waits', async (t) => {
      const { port } = await instances(t);
      const host = await startFleetHost(t, {
        etcd: etcd.cluster.urls,
        api: cookie,
        haproxy: { sticky_drain_timeout: '1ms' },
      });
      const server = `i${port}_127.0.0.1:${port}`;
      await announce(etcd.client, port, { state: 'drain' });
      const isDrained = async (): Promise<void> => {
        assert.equal((await host.haproxy.servers()).get(`api/${server}`)?.srv_admin_state, '8');
        assert.match(await readFile(host.haproxy.file, 'utf8'), new RegExp(`server ${server} .* weight 0\n`));
      };
      await eventually(isDrained);
      assert.equal((await ask(etcd.client, { kind: 'revision' }).answer).outcome, 'done');
      await isDrained();
      assert.equal(await answerTo(host.port, server), 'first');
    });
  });
}
