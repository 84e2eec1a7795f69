import assert from 'node:assert/strict';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { after, afterEach, before, describe, it, type TestContext } from 'node:test';
import { ackKey, fleetKeys } from '../../../common/fleet/keys.ts';
import type { RequestRecord } from '../../../common/fleet/records.ts';
import { dump, etcdVersions, put, remove } from '../../support/etcd/etcd.ts';
import { withCluster } from '../../support/etcd/with-cluster.ts';
import { eventually } from '../../support/eventually.ts';
import {
  about,
  announce,
  apiFolder,
  apiKey,
  ask,
  type FleetHost,
  type FleetHostOptions,
  fleetPath,
  startFleetHost,
} from '../../support/fleet/fleet-host.ts';
import { rawRequest } from '../../support/fleet/raw-request.ts';
import { askSocket, type NamedServer, namedServer } from '../../support/haproxy/haproxy.ts';
import { haproxyVersions } from '../../support/haproxy/versions.ts';

for (const etcdVersion of etcdVersions) {
  describe(`an acknowledgement that a server is drained, with etcd ${etcdVersion}`, () => {
    const etcd = withCluster(etcdVersion);
    let server: NamedServer;
    let other: NamedServer;
    before(async () => {
      server = await namedServer('server');
      other = await namedServer('other');
    });
    after(() => Promise.all([server.close(), other.close()]));
    afterEach(async () => {
      for (const { port } of [server, other]) await remove(etcd.client, apiKey(port));
    });

    /** A host with both instances in rotation. */
    const start = async (t: TestContext, options: Partial<FleetHostOptions> = {}): Promise<FleetHost> => {
      for (const { port } of [server, other]) await announce(etcd.client, port);
      const host = await startFleetHost(t, { etcd: etcd.cluster.urls, ...options });
      await host.haproxy.pids();
      return host;
    };
    const drain = (): Promise<number> => announce(etcd.client, server.port, { state: 'drain' });
    const isDrained = (revision: number): RequestRecord => ({
      ...{ kind: 'instance', by: 'a test', path: apiFolder, key: apiKey(server.port), expect: 'drained', revision },
    });
    const outcomeOf = async (asking: ReturnType<typeof ask>): Promise<string> => {
      const { outcome, reason } = await asking.answer;
      return `${outcome}${reason === null ? '' : `: ${reason}`}`;
    };
    /** Waits until the asker names a reason. */
    const says = (asking: ReturnType<typeof ask>, reason: RegExp): Promise<void> =>
      eventually(() => {
        assert.equal(asking.last?.outcome, 'waiting');
        assert.match(asking.last?.reason ?? '', reason);
      });

    for (const version of haproxyVersions) {
      it(`waits for the clients of an old worker of HAProxy ${version}, which chooses servers by its own state`, async (t) => {
        const host = await start(t, { version });
        const client = await keptAlive(t, host.port);
        const before = await host.haproxy.workerPid();
        await askSocket(host.haproxy.master, 'reload', 5_000).catch(() => {});
        await eventually(async () => assert.notEqual(await host.haproxy.workerPid(), before));
        await drain();
        const asking = ask(etcd.client, about(server.port, 'drained'));
        await says(asking, /on the way out may still choose/);
        client.destroy();
        assert.equal(await outcomeOf(asking), 'done');
      });
    }

    it('waits while HAProxy is frozen, and says so', async (t) => {
      const host = await start(t);
      const pid = await host.haproxy.workerPid();
      process.kill(pid, 'SIGSTOP');
      t.after(() => process.kill(pid, 'SIGCONT'));
      await drain();
      const asking = ask(etcd.client, about(server.port, 'drained'));
      await says(asking, /no reply|not connected|connection ended/);
      process.kill(pid, 'SIGCONT');
      assert.equal(await outcomeOf(asking), 'done');
    });

    it('waits while the socket of HAProxy is gone, and says so', async (t) => {
      const host = await start(t);
      const { socket } = host.haproxy;
      await rename(socket, `${socket}.gone`);
      await drain();
      const asking = ask(etcd.client, about(server.port, 'drained'));
      await says(asking, /no such file|ENOENT|not connected/);
      await rename(`${socket}.gone`, socket);
      assert.equal(await outcomeOf(asking), 'done');
    });

    it('waits while haproxy.cfg cannot be written, because a reload would bring the server back', async (t) => {
      const host = await start(t);
      const staging = join(dirname(host.haproxy.file), '.synapse');
      await rm(staging, { recursive: true, force: true });
      await writeFile(staging, 'in the way');
      await drain();
      const asking = ask(etcd.client, about(server.port, 'drained'));
      await says(asking, /haproxy\.cfg still has/);
      await rm(staging);
      await mkdir(staging);
      assert.equal(await outcomeOf(asking), 'done');
    });

    it('waits while another program has put back an older haproxy.cfg', async (t) => {
      const host = await start(t);
      const request = await rawRequest(etcd.client, isDrained(await drain()));
      await eventually(async () =>
        assert.deepEqual(
          (await request.acks()).map(({ result }) => result),
          ['quiet'],
        ),
      );
      await writeFile(`${host.haproxy.file}.other`, 'global\n');
      await rename(`${host.haproxy.file}.other`, host.haproxy.file);
      await eventually(async () => {
        const [ack] = await request.acks();
        assert.equal(ack?.result, 'cannot');
        assert.match(ack?.reason ?? '', /another program has changed it/);
      });
      await request.end();
      await eventually(async () => assert.deepEqual(await request.acks(), []));
    });

    it('is corrected when an operator puts the server into rotation by hand', async (t) => {
      const host = await start(t);
      const request = await rawRequest(etcd.client, isDrained(await drain()));
      const said = (results: readonly string[]): Promise<void> =>
        eventually(() =>
          assert.deepEqual(
            request.said.map(({ result }) => result),
            results,
          ),
        );
      await said(['quiet']);
      // synapse drains it again as soon as it has noticed. A drain of its own has the weight 0 as well.
      const name = apiKey(server.port).split('/').at(-1);
      for (const what of ['weight 100%', 'state ready']) await host.haproxy.ask(`set server api/${name} ${what}`);
      await said(['quiet', 'cannot', 'quiet']);
      assert.match(request.said[1]?.reason ?? '', /still in rotation/);
      await request.end();
    });

    it('is corrected when the record says up again', async (t) => {
      await start(t);
      const request = await rawRequest(etcd.client, isDrained(await drain()));
      await eventually(async () => assert.equal((await request.acks())[0]?.result, 'quiet'));
      await announce(etcd.client, server.port);
      await eventually(async () => assert.match((await request.acks())[0]?.reason ?? '', /record says that it is up/));
      await request.end();
    });

    it('does not come before synapse has applied the drain', async (t) => {
      await start(t);
      const asking = ask(etcd.client, about(server.port, 'drained'));
      await says(asking, /its record says that it is up/);
      await drain();
      // The question is asked again, about the new record.
      assert.equal(await outcomeOf(asking), 'done');
    });

    it('cannot be given where synapse does not write haproxy.cfg', async (t) => {
      await start(t, { haproxy: { do_writes: false } });
      await drain();
      const asking = ask(etcd.client, about(server.port, 'drained'), { timeoutMs: 4_000 });
      assert.match(await outcomeOf(asking), /timeout: .*do_writes: false/);
    });

    it('cannot be given where the runtime API is not used', async (t) => {
      await start(t, { haproxy: { do_socket: false } });
      await drain();
      const asking = ask(etcd.client, about(server.port, 'drained'), { timeoutMs: 3_000 });
      assert.match(await outcomeOf(asking), /timeout: .*do_socket: false/);
    });

    it('counts an instance that the filters of a host leave out as unused there', async (t) => {
      await start(t, {
        service: { discovery: { method: 'etcd', label_filters: [{ label: 'az', value: 'a', condition: 'equals' }] } },
      });
      await drain();
      const { outcome, unused } = await ask(etcd.client, about(server.port, 'drained')).answer;
      assert.deepEqual({ outcome, unused }, { outcome: 'done', unused: 1 });
    });

    for (const [what, value, hasLease] of [
      ['no JSON', 'nothing', true],
      ['no lease', JSON.stringify({ v: 1, by: 'a test', revision: 1 }), false],
      [
        'a path of another service',
        JSON.stringify({ v: 1, by: 'x', revision: 1, path: '/other', key: '/other/a', expect: 'up' }),
        true,
      ],
    ] as const) {
      it(`is not given to a request with ${what}, and others are answered`, async (t) => {
        await start(t);
        const odd = await rawRequest(etcd.client, { value }, { hasLease });
        await drain();
        assert.equal(await outcomeOf(ask(etcd.client, about(server.port, 'drained'))), 'done');
        assert.deepEqual(await odd.acks(), []);
        await odd.end();
      });
    }

    it('goes with its synapse, and so does the key of that', async (t) => {
      const host = await start(t, { id: 'ends' });
      const keys = fleetKeys(fleetPath);
      const request = await rawRequest(etcd.client, isDrained(await drain()));
      await eventually(async () => assert.equal((await request.acks()).length, 1));
      await host.stop();
      assert.deepEqual(await dump(etcd.client, keys.proxies), {});
      assert.deepEqual(await dump(etcd.client, ackKey(keys, request.id, 'ends')), {});
      await request.end();
    });

    it('counts for nothing when two synapses have one id, and both hosts go on', async (t) => {
      const first = await start(t, { id: 'twin' });
      await startFleetHost(t, { etcd: etcd.cluster.urls, id: 'twin' });
      await eventually(() => assert.equal(first.synapse.state().fleet?.shared, true));
      await drain();
      const name = `api/${apiKey(server.port).split('/').at(-1)}`;
      await eventually(async () => assert.equal((await first.haproxy.servers()).get(name)?.srv_admin_state, '8'));
    });

    it('comes from the synapse whose record replaced what was left under its key', async (t) => {
      const keys = fleetKeys(fleetPath);
      await put(etcd.client, `${keys.proxies}taken`, 'no record');
      const host = await start(t, { id: 'taken' });
      await eventually(async () =>
        assert.match(String(Object.values(await dump(etcd.client, keys.proxies))), /"session"/),
      );
      await host.stop();
    });
  });
}

/** A client that has had one answer, and keeps its connection. */
async function keptAlive(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await new Promise((resolve) => socket.once('data', resolve));
  return socket;
}
