import assert from 'node:assert/strict';
import { once } from 'node:events';
import { access, readFile, rename } from 'node:fs/promises';
import { Agent, createServer as createHttpServer, request } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test';
import { sleep } from '../../../../common/async/sleep.ts';
import { thisHost } from '../../../../common/host.ts';
import type { Instance } from '../../../../common/instance.ts';
import { freePort } from '../../../../etcd-cluster/members/ports.ts';
import { connectRuntime } from '../../../../synapse/haproxy/runtime/connection.ts';
import { eventually } from '../../../support/eventually.ts';
import {
  askSocket,
  namedServer,
  type ProxyFaults,
  type RecordingProxy,
  recordingProxy,
  type TestHaproxy,
  testHaproxy,
} from '../../../support/haproxy/haproxy.ts';
import {
  instance,
  type RunningOutput,
  runOutput,
  serviceConfig,
  testConfig,
} from '../../../support/haproxy/haproxy-output.ts';
import { type HaproxyVersion, haproxyVersions } from '../../../support/haproxy/versions.ts';

// Side by side: most of their time they wait.
describe('a running HAProxy', { concurrency: haproxyVersions.length }, () => {
  for (const version of haproxyVersions) describe(`HAProxy ${version}`, { concurrency: 1 }, () => onHaproxy(version));
});

function onHaproxy(version: HaproxyVersion): void {
  let haproxy: TestHaproxy;
  let synapse: RunningOutput;
  let port: number;

  beforeEach(async () => {
    haproxy = await testHaproxy(version);
    port = await freePort();
  });
  afterEach(async () => {
    await synapse?.stop();
    await haproxy.close();
  });

  interface Given {
    readonly service?: Record<string, unknown>;
    readonly top?: Record<string, unknown>;
  }
  /** HAProxy and synapse in step over some instances; returns what gives synapse others. */
  const inStep = async ({ service, top }: Given, instances: readonly Instance[]) => {
    const config = serviceConfig({ port, ...service });
    synapse = runOutput(testConfig(haproxy, top));
    await synapse.apply({ api: { config, instances } });
    await eventually(() => access(haproxy.file));
    await haproxy.start();
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    return (others: readonly Instance[]) => synapse.apply({ api: { config, instances: others } });
  };
  const web = async (t: TestContext, name: string): Promise<Instance> => {
    const server = await namedServer(name);
    t.after(() => server.close());
    return instance(server.port);
  };
  const column = async (of: Instance, title: string) => (await haproxy.servers()).get(`api/${of.id}`)?.[title];
  const admin = (of: Instance) => column(of, 'srv_admin_state');
  const answers = async (count = 12): Promise<readonly string[]> => {
    const names = new Set<string>();
    for (let index = 0; index < count; index++) {
      const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
      names.add(response.status === 200 ? await response.text() : String(response.status));
    }
    return [...names].sort();
  };
  /** Puts a proxy in the place of HAProxy's socket, before synapse connects. */
  const behindProxy = async (t: TestContext, faults: ProxyFaults = {}): Promise<RecordingProxy> => {
    await synapse.stop();
    const behind = `${haproxy.folder}/behind.sock`;
    await rename(haproxy.socket, behind);
    const proxy = await recordingProxy(haproxy.socket, behind, faults);
    t.after(() => proxy.close());
    synapse = runOutput(testConfig(haproxy));
    return proxy;
  };

  it('answers each line of a pipelined batch with one reply, in order, long after the default timeout', async () => {
    await inStep({ top: { global: ['stats timeout 1s'] } }, [instance(9)]);
    const end = new AbortController();
    const connection = await connectRuntime(
      haproxy.socket,
      { connectUnix: thisHost.connectUnix, replyTimeoutMs: 5_000 },
      end.signal,
    );
    await sleep(2_500);
    const lines = ['show version', 'no such thing', 'set server api/none state ready', 'show env NONE', 'show info'];
    const replies = await connection.send([...lines, ...lines]);
    assert.equal(replies.length, 10);
    for (const at of [0, 5]) {
      assert.match(replies[at] ?? '', new RegExp(`^${version}`));
      assert.match(replies[at + 1] ?? '', /unknown command/i);
      assert.match(replies[at + 2] ?? '', /No such server/);
      assert.match(replies[at + 4] ?? '', /^Pid: /m);
    }
    end.abort();
  });

  it('has another limit of connections at once, without a reload, and after one', async (t) => {
    const [one, two] = [await web(t, 'one'), await web(t, 'two')];
    const limited = (of: Instance, maxconn: number): Instance => ({ ...of, serverOptions: `maxconn ${maxconn}` });
    const limit = async (of: Instance): Promise<string | undefined> => {
      const lines = (await haproxy.ask('show stat')).split('\n').map((line) => line.split(','));
      const column = lines[0]?.indexOf('slim') ?? -1;
      return lines.find((cells) => cells[0] === 'api' && cells[1] === of.id)?.[column];
    };
    const apply = await inStep({ service: { server_options: 'check' } }, [limited(one, 5)]);
    assert.equal(await limit(one), '5');
    const pid = await haproxy.workerPid();
    await apply([limited(one, 7), limited(two, 8)]);
    assert.deepEqual([await limit(one), await limit(two)], ['7', '8']);
    await apply([limited(one, 9), two]);
    assert.deepEqual([await limit(one), await limit(two)], ['9', '']);
    assert.equal(synapse.reloads(), 0);
    assert.equal(await haproxy.workerPid(), pid);
    // What the file says is the same: a new worker has nothing to catch up with.
    await eventually(async () => assert.match(await readFile(haproxy.file, 'utf8'), /maxconn 9/));
    await askSocket(haproxy.master, 'reload');
    await eventually(async () => assert.notEqual(await haproxy.workerPid(), pid));
    assert.deepEqual([await limit(one), await limit(two)], ['9', '']);
    assert.deepEqual(synapse.output.status.pendingReload, []);
  });

  it('is reached although others hold more sessions than it serves by default', async (t) => {
    const apply = await inStep({}, [await web(t, 'one')]);
    await synapse.stop();
    const others = Array.from({ length: 14 }, () => connect({ path: haproxy.socket }));
    t.after(() => {
      for (const other of others) other.destroy();
    });
    await Promise.all(others.map((other) => once(other, 'connect')));
    for (const other of others) other.write('prompt\n');
    const two = await web(t, 'two');
    synapse = runOutput(testConfig(haproxy));
    await apply([two]);
    await eventually(async () => assert.deepEqual(await answers(), ['two']));
  });

  it('never gets another address for a server: what moves is a new server, and the old one gets nothing', async (t) => {
    const [old, moved, other] = [await web(t, 'old'), await web(t, 'moved'), await web(t, 'other')];
    const apply = await inStep({}, [{ ...old, name: 'x' }, other]);
    const proxy = await behindProxy(t);
    await apply([old, other]);
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    // Connections to the old address are idle, and in use, while it moves.
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    t.after(() => agent.destroy());
    const get = (): Promise<string> =>
      new Promise((resolve, reject) => {
        request({ host: '127.0.0.1', port, agent }, (response) => {
          let body = '';
          response.on('data', (chunk) => (body += chunk));
          response.on('end', () => resolve(body));
        })
          .on('error', reject)
          .end();
      });
    const running = Promise.all(Array.from({ length: 20 }, get));
    await apply([moved, other]);
    await running;
    const after = await Promise.all(Array.from({ length: 40 }, get));
    assert.deepEqual([...new Set(after)].sort(), ['moved', 'other']);
    assert.deepEqual(
      proxy.commands.filter((command) => / addr | fqdn /.test(command)),
      [],
    );
  });

  it('reuses connections to a server that was added at run time', async (t) => {
    let connections = 0;
    const server = createHttpServer((_, response) => response.end('ok'));
    server.on('connection', () => {
      connections += 1;
    });
    server.keepAliveTimeout = 60_000;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
      server.close();
      server.closeAllConnections();
    });
    const apply = await inStep({}, []);
    await apply([instance((server.address() as AddressInfo).port)]);
    for (let count = 0; count < 30; count++) await (await fetch(`http://127.0.0.1:${port}/`)).text();
    assert.ok(connections <= 4, `${connections} connections for 30 requests`);
  });

  it('ends the drain of a server that was withdrawn when its last connection has gone, not before', async (t) => {
    const held: Socket[] = [];
    const server = createServer((socket) => void held.push(socket.on('error', () => {})));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
      for (const socket of held) socket.destroy();
      server.close();
    });
    const one = instance((server.address() as AddressInfo).port);
    const apply = await inStep({ service: { listen: ['mode tcp'] }, top: { drain_timeout: '60s' } }, [one]);
    const client = connect(port, '127.0.0.1').on('error', () => {});
    t.after(() => client.destroy());
    await eventually(() => assert.equal(held.length, 1));
    const two = instance(9);
    await apply([{ ...one, state: 'drain' }, two]);
    await apply([two]);
    await sleep(3_500);
    assert.equal(await admin(one), '8');
    client.destroy();
    held[0]?.destroy();
    await eventually(async () => assert.equal(await admin(one), '1'));
  });

  it('deletes servers that have long been out of service only where that is safe', async (t) => {
    const [one, two, three] = [await web(t, 'one'), await web(t, 'two'), await web(t, 'three')];
    const asked = version !== '3.2' && version !== '3.4';
    const safe = version !== '2.6';
    const top = { delete_servers_after: '200ms', ...(asked && { delete_servers: true }) };
    const apply = await inStep({ service: { server_options: 'check' }, top }, [one, two]);
    const id = await column(two, 'srv_id');
    await answers();
    await apply([one]);
    await eventually(async () => assert.equal(await admin(two), safe ? undefined : '1'));
    await sleep(1_500);
    assert.equal(await admin(two), safe ? undefined : '1');
    await apply([one, three]);
    assert.deepEqual(await answers(30), ['one', 'three']);
    if (safe) assert.equal(await column(three, 'srv_id'), id);
    await apply([one, two, three]);
    assert.deepEqual(await answers(30), ['one', 'three', 'two']);
    assert.equal(synapse.reloads(), 0);
  });

  if (version === '2.6' || version === '3.0') {
    it('deletes no server without being asked to', async (t) => {
      const [one, two] = [await web(t, 'one'), await web(t, 'two')];
      const apply = await inStep({ top: { delete_servers_after: '200ms' } }, [one, two]);
      await apply([one]);
      await sleep(2_500);
      assert.equal(await admin(two), '1');
    });
  }

  it('keeps what an operator set by hand, also through a reload, and reports it', async (t) => {
    const [one, two, three, four] = [await web(t, '1'), await web(t, '2'), await web(t, '3'), await web(t, '4')];
    const apply = await inStep({}, [one, two, three, four]);
    await haproxy.ask(`set server api/${one.id} state maint`);
    await haproxy.ask(`set server api/${two.id} state drain`);
    await haproxy.ask(`set server api/${three.id} weight 9`);
    const pid = await haproxy.workerPid();
    // A host name cannot be added at run time.
    await apply([one, two, three, four, instance(1, { host: 'localhost', state: 'drain' })]);
    await eventually(() => assert.equal(synapse.reloads(), 1));
    assert.notEqual(await haproxy.workerPid(), pid);
    await eventually(async () => {
      assert.deepEqual([await admin(one), await admin(two)], ['1', '8']);
      assert.equal(await column(three, 'srv_uweight'), '9');
    });
    // The old worker may take a connection that was already waiting, and what is held is read anew after the reload.
    await eventually(async () => assert.deepEqual(await answers(30), ['3', '4']));
    await eventually(() =>
      assert.deepEqual(
        synapse.output.status.held.map(({ name, held }) => `${name} ${held}`).sort(),
        [`${one.id} maintenance`, `${two.id} drain`, `${three.id} weight`].sort(),
      ),
    );
    await haproxy.ask(`set server api/${one.id} state ready`);
    await apply([one, two, three]);
    await eventually(() => assert.equal(synapse.output.status.held.length, 2));
    await eventually(async () => assert.deepEqual(await answers(30), ['1', '3']));
  });

  it('keeps what an operator set by hand although the connection breaks while it is read before a reload', async (t) => {
    const [one, two] = [await web(t, 'one'), await web(t, 'two')];
    const apply = await inStep({}, [one, two]);
    let isArmed = false;
    const proxy = await behindProxy(t, {
      onCommand: (command) => {
        if (!isArmed || command !== 'show servers state') return;
        isArmed = false;
        proxy.disconnect(500);
      },
    });
    await apply([one, two]);
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    const readings = () => proxy.commands.filter((command) => command === 'show servers state').length;
    await eventually(() => assert.equal(readings(), 2));
    isArmed = true;
    await askSocket(`${haproxy.folder}/behind.sock`, `set server api/${one.id} state maint`);
    // A host name cannot be added at run time.
    await apply([one, two, instance(1, { host: 'localhost', state: 'drain' })]);
    await eventually(() => assert.equal(synapse.reloads(), 1));
    await eventually(async () => assert.deepEqual(await answers(30), ['two']));
    assert.deepEqual(
      synapse.output.status.held.map(({ name, held }) => `${name} ${held}`),
      [`${one.id} maintenance`],
    );
  });

  it('gives added servers their cookies, at run time where it can', async (t) => {
    const [one, two] = [await web(t, 'one'), await web(t, 'two')];
    const apply = await inStep({ service: { backend: ['cookie SRV insert indirect nocache'] } }, [one]);
    await apply([one, two]);
    const cookies = async () => {
      const found = new Set<string>();
      for (let count = 0; count < 8; count++) {
        const response = await fetch(`http://127.0.0.1:${port}/`);
        found.add(/SRV=([^;]+)/.exec(response.headers.get('set-cookie') ?? '')?.[1] ?? 'none');
      }
      return [...found].sort();
    };
    await eventually(async () => assert.deepEqual(await cookies(), [one.id, two.id].sort()));
    // HAProxy has reloaded a moment before synapse knows.
    await eventually(() => assert.equal(synapse.reloads(), version === '2.6' ? 1 : 0));
  });

  it('starts added servers slowly when their options say so', async (t) => {
    const [one, two] = [await web(t, 'one'), await web(t, 'two')];
    const apply = await inStep({ service: { server_options: 'slowstart 60s' } }, [one]);
    await apply([one, two]);
    assert.equal(await column(two, 'srv_op_state'), '1');
  });

  it('starts added servers down until checked when their options say so', async (t) => {
    // Before 3.1 by command.
    const options = 'check inter 100ms init-state fully-down';
    const [one, two] = [await web(t, 'one'), await web(t, 'two')];
    const apply = await inStep({ service: { server_options: options } }, [one]);
    const dead = instance(await freePort());
    await apply([one, two, dead]);
    assert.equal(await column(dead, 'srv_op_state'), '0');
    await eventually(async () => assert.deepEqual(await answers(), ['one', 'two']));
    assert.equal(await column(dead, 'srv_op_state'), '0');
    assert.equal(synapse.reloads(), 0);
  });

  it('ends up right when HAProxy is killed between two commands', async (t) => {
    const [one, two] = [await web(t, 'one'), await web(t, 'two')];
    const apply = await inStep({}, [one]);
    const pids = await haproxy.pids();
    let killed = false;
    await behindProxy(t, {
      onCommand: (command) => {
        if (killed || !command.startsWith('set server')) return;
        killed = true;
        for (const pid of pids) process.kill(pid, 'SIGKILL');
      },
    });
    await apply([one]);
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    await apply([one, two]);
    await eventually(() => assert.equal(killed, true));
    await haproxy.kill();
    await haproxy.start();
    await eventually(async () => assert.deepEqual(await answers(), ['one', 'two']));
  });

  it('still has its empty backend when synapse connects to the same worker again', async (t) => {
    const apply = await inStep({}, []);
    const proxy = await behindProxy(t);
    await apply([]);
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    const greetings = () => proxy.commands.filter((command) => command === 'prompt').length;
    for (let count = 1; count <= 3; count++) {
      proxy.disconnect();
      await eventually(() => assert.equal(greetings(), count + 1));
      await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
      assert.deepEqual(synapse.output.status.pendingReload, []);
    }
    const one = await web(t, 'one');
    await apply([one]);
    assert.deepEqual(await answers(), ['one']);
    assert.equal(synapse.reloads(), 0);
  });

  it('is kept right although its replies come slowly', async (t) => {
    const servers = [await web(t, 'one'), await web(t, 'two')];
    const many = Array.from({ length: 60 }, (_, index) => instance(2_000 + index, { host: '127.0.9.9' }));
    const drained = many.map((each): Instance => ({ ...each, state: 'drain' }));
    const apply = await inStep({}, [...servers, ...drained]);
    await behindProxy(t, { trickle: 64 });
    await apply([...servers, ...drained]);
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    for (let round = 0; round < 20; round++) await apply([servers[round % 2] as Instance, ...drained.slice(round)]);
    await eventually(async () => assert.deepEqual(await answers(), ['two']));
    assert.equal(synapse.reloads(), 0);
    assert.deepEqual(synapse.output.status.held, []);
  });
}
