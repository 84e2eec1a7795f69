import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { remove } from '../../support/etcd/etcd.ts';
import { withCluster } from '../../support/etcd/with-cluster.ts';
import { eventually } from '../../support/eventually.ts';
import { about, announce, apiFolder, apiKey, ask, startFleetHost } from '../../support/fleet/fleet-host.ts';
import { beginRequest, slowInstance } from '../../support/fleet/slow-instance.ts';
import { askSocket, namedServer, type TestHaproxy } from '../../support/haproxy/haproxy.ts';
import { tempFolder } from '../../support/temp-folder.ts';

describe('hosts of other kinds in a fleet', () => {
  const etcd = withCluster('3.5');
  /** Announces an instance until the end of the test. */
  const announced = async (t: TestContext, port: number, more: object = {}): Promise<void> => {
    await announce(etcd.client, port, more);
    t.after(async () => void (await remove(etcd.client, apiKey(port))));
  };
  const nameOf = (port: number): string => String(apiKey(port).split('/').at(-1));

  it('prove a drain only when each of several HAProxy processes has it', async (t) => {
    const server = await namedServer('server');
    t.after(() => server.close());
    await announced(t, server.port);
    let second: ChildProcess | undefined;
    const socketOf = (haproxy: TestHaproxy): string => join(haproxy.folder, 'second.sock');
    const host = await startFleetHost(t, {
      etcd: etcd.cluster.urls,
      id: 'two-processes',
      haproxy: (haproxy) => ({
        // Each process has a socket of its own, and both read one file. Without a master, only time shows that no worker from
        // before is left.
        global: [
          'maxconn 200',
          'hard-stop-after 2s',
          `stats socket "\${SECOND_SOCKET-${haproxy.socket}}" mode 600 level admin`,
        ],
        socket_file_path: [haproxy.socket, socketOf(haproxy)],
      }),
      alsoStart: async (haproxy) => {
        const env = { ...process.env, SECOND_SOCKET: socketOf(haproxy) };
        const child = spawn(haproxy.program, ['-db', '-f', haproxy.file], { env, stdio: 'ignore' });
        second = child;
        t.after(async () => {
          const exited = new Promise((resolve) => child.once('exit', resolve));
          if (child.exitCode === null && child.kill('SIGKILL')) await exited;
        });
      },
    });
    const up = await ask(etcd.client, about(server.port, 'up')).answer;
    assert.equal(up.outcome, 'done', up.reason ?? '');
    second?.kill('SIGSTOP');
    await announce(etcd.client, server.port, { state: 'drain' });
    const asking = ask(etcd.client, about(server.port, 'drained'));
    await eventually(() =>
      assert.match(asking.last?.reason ?? '', /two-processes \(.*(?:no reply|not connected|ended)/),
    );
    assert.equal(asking.last?.outcome, 'waiting');
    second?.kill('SIGCONT');
    const done = await asking.answer;
    assert.equal(done.outcome, 'done', done.reason ?? '');
    const state = await askSocket(socketOf(host.haproxy), 'show servers state api');
    const row = state.split('\n').find((line) => line.includes(` ${nameOf(server.port)} `));
    assert.equal(row?.split(' ')[6], '8', 'the second process has it drained too');
  });

  it('prove a drain only when each service that uses the instance is quiet', async (t) => {
    const slow = await slowInstance(t);
    await announced(t, slow.port);
    const [first, other] = [await freePort(), await freePort()];
    const discovery = { method: 'etcd', path: apiFolder };
    const lines = { listen: ['mode http'] };
    const services = {
      api: { discovery, haproxy: { ...lines, port: first } },
      other: { discovery, haproxy: { ...lines, port: other } },
    };
    await startFleetHost(t, { etcd: etcd.cluster.urls, id: 'two-services', more: { services } });
    const up = await ask(etcd.client, about(slow.port, 'up')).answer;
    assert.equal(up.outcome, 'done', up.reason ?? '');
    await beginRequest(t, other);
    await announce(etcd.client, slow.port, { state: 'drain' });
    const asking = ask(etcd.client, about(slow.port, 'drained'));
    await eventually(() => assert.equal(asking.last?.connections, 1, asking.last?.reason ?? ''));
    assert.equal(asking.last?.outcome, 'waiting');
    slow.finish();
    const done = await asking.answer;
    assert.equal(done.outcome, 'done', done.reason ?? '');
  });

  for (const [expect, state] of [
    ['drained', 'drain'],
    ['up', 'up'],
  ] as const) {
    it(`do not use an instance that is to be ${expect} while another source is in force, and say so`, async (t) => {
      const [own, spare] = [await namedServer('own'), await namedServer('spare')];
      t.after(() => Promise.all([own.close(), spare.close()]));
      await announced(t, own.port, { state });
      const discovery = {
        ...{ method: 'static', fallback: { method: 'etcd' } },
        servers: [{ name: 'spare', host: '127.0.0.1', port: spare.port }],
      };
      const host = await startFleetHost(t, { etcd: etcd.cluster.urls, id: `static-${expect}`, service: { discovery } });
      const { outcome, unused, reason } = await ask(etcd.client, about(own.port, expect)).answer;
      assert.deepEqual([outcome, unused], ['done', 1], reason ?? '');
      assert.deepEqual([...(await host.haproxy.servers()).keys()], [`api/spare_127.0.0.1:${spare.port}`]);
    });
  }

  it('cannot prove a drain for programs that read file_output, and say so', async (t) => {
    const own = await namedServer('own');
    t.after(() => own.close());
    await announced(t, own.port);
    await startFleetHost(t, {
      etcd: etcd.cluster.urls,
      id: 'files',
      haproxy: (haproxy) => ({ global: ['maxconn 200', `log ${haproxy.folder}/none local0`] }),
      more: {
        file_output: { output_directory: join(await tempFolder(t), 'files') },
        services: { api: { discovery: { method: 'etcd' } } },
      },
    });
    await announce(etcd.client, own.port, { state: 'drain' });
    const { outcome, reason } = await ask(etcd.client, about(own.port, 'drained'), { timeoutMs: 3_000 }).answer;
    assert.equal(outcome, 'timeout');
    assert.match(String(reason), /service api is not in HAProxy: programs that read file_output cannot be asked/);
  });

  it('are not counted when they take no part, beside others that are', async (t) => {
    const server = await namedServer('server');
    t.after(() => server.close());
    await announced(t, server.port);
    const older = await startFleetHost(t, { etcd: etcd.cluster.urls, more: { fleet: false } });
    await startFleetHost(t, { etcd: etcd.cluster.urls, id: 'newer' });
    await announce(etcd.client, server.port, { state: 'drain' });
    const { outcome, members } = await ask(etcd.client, about(server.port, 'drained')).answer;
    assert.deepEqual([outcome, members], ['done', ['newer']]);
    // It follows the record all the same.
    await eventually(async () =>
      assert.equal((await older.haproxy.servers()).get(`api/${nameOf(server.port)}`)?.srv_admin_state, '8'),
    );
  });
});
