import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { thisHost } from '../../../common/host.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { StatisticsReader } from '../../../synapse/haproxy/statistics/reader.ts';
import { eventually } from '../../support/eventually.ts';
import { askSocket, type TestHaproxy, testHaproxy } from '../../support/haproxy/haproxy.ts';
import {
  instance,
  type RunningOutput,
  runOutput,
  serviceConfig,
  testConfig,
} from '../../support/haproxy/haproxy-output.ts';

/** Two HAProxy processes run the same file. An environment variable tells each its socket. */
describe('several HAProxy processes', () => {
  let home: TestHaproxy;
  let synapse: RunningOutput;
  const children: ChildProcess[] = [];
  let sockets: readonly string[];

  beforeEach(async () => {
    home = await testHaproxy();
    sockets = ['a', 'b'].map((name) => join(home.folder, `${name}.sock`));
  });
  afterEach(async () => {
    await synapse?.stop();
    for (const child of children.splice(0)) {
      const exited = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode === null && child.kill('SIGKILL')) await exited;
    }
    await home.close();
  });

  const start = (socket: string): ChildProcess => {
    const child = spawn(home.program, ['-db', '-f', home.file], {
      env: { ...process.env, HAPROXY_SOCKET: socket },
      stdio: 'ignore',
    });
    children.push(child);
    return child;
  };
  const serversOf = async (socket: string): Promise<readonly string[]> => {
    const lines = (await askSocket(socket, 'show servers state api')).split('\n');
    // Columns srv_name and srv_admin_state.
    const rows = lines.filter((line) => /^\d+ api /.test(line)).map((line) => line.split(' '));
    return rows.filter((cells) => cells[6] === '0').map((cells) => cells[3] ?? '');
  };

  /** No server is behind the port, so HAProxy answers by itself: it counts the request all the same. */
  const visit = async (port: number): Promise<void> => {
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { Connection: 'close' } });
    await answer.text();
  };

  it('are kept up to date independently of each other, also when one starts later or ends', async () => {
    const port = await freePort();
    const config = serviceConfig({ port });
    const [one, two, three] = [instance(9), instance(10), instance(11)];
    synapse = runOutput(
      testConfig(home, {
        global: ['maxconn 200', `stats socket "\${HAPROXY_SOCKET-${home.folder}/none.sock}" mode 600 level admin`],
        socket_file_path: sockets,
        master_socket_path: null,
        do_reloads: false,
      }),
    );
    await synapse.apply({ api: { config, instances: [one] } });
    await eventually(() => access(home.file));
    const [a = '', b = ''] = sockets;
    start(a);
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    await synapse.apply({ api: { config, instances: [one, two] } });
    assert.deepEqual(await serversOf(a), [one.id, two.id]);
    assert.equal(synapse.output.status.sockets[1]?.connected, false);

    const second = start(b);
    await eventually(() => assert.equal(synapse.output.status.sockets[1]?.connected, true));
    await synapse.apply({ api: { config, instances: [two, three] } });
    for (const socket of sockets) assert.deepEqual((await serversOf(socket)).toSorted(), [two.id, three.id].toSorted());

    // The kernel gives connections to both processes. Their counters are added up.
    for (let sent = 0; sent < 20; sent++) await visit(port);
    const statistics = new StatisticsReader(sockets, thisHost);
    const { backends, servers } = await statistics.read({ backend: 'api' });
    assert.equal(backends.get('api')?.requests, 20);
    assert.deepEqual(
      servers
        .get('api')
        ?.filter(({ status }) => status === 'no check')
        .map(({ name }) => name)
        .toSorted(),
      [two.id, three.id].toSorted(),
    );

    second.kill('SIGKILL');
    await eventually(() => assert.equal(synapse.output.status.sockets[1]?.connected, false));
    await synapse.apply({ api: { config, instances: [three] } });
    assert.deepEqual(await serversOf(a), [three.id]);
    start(b);
    await eventually(async () => assert.deepEqual(await serversOf(b), [three.id]));
    assert.equal(synapse.reloads(), 0);
  });
});
