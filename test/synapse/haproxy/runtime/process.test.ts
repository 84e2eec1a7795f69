import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, rename } from 'node:fs/promises';
import { Agent, createServer as createHttpServer, request } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { sleep } from '../../../../common/async/sleep.ts';
import { thisHost } from '../../../../common/host.ts';
import type { Instance } from '../../../../common/instance.ts';
import { freePort } from '../../../../etcd-cluster/members/ports.ts';
import { connectRuntime } from '../../../../synapse/haproxy/runtime/connection.ts';
import { eventually } from '../../../support/eventually.ts';
import { askSocket } from '../../../support/haproxy/haproxy.ts';
import { instance, serviceConfig } from '../../../support/haproxy/haproxy-output.ts';
import { type ProxyFaults, type RecordingProxy, recordingProxy } from '../../../support/haproxy/recording-proxy.ts';
import { answerOn, type HaproxyInStep, runningHaproxy, webInstance } from '../../../support/haproxy/running-haproxy.ts';
import { type HaproxyVersion, haproxyVersions } from '../../../support/haproxy/versions.ts';

// All versions at once, because the tests mostly wait.
describe('a running HAProxy', { concurrency: haproxyVersions.length }, () => {
  for (const version of haproxyVersions) describe(`HAProxy ${version}`, { concurrency: 1 }, () => onHaproxy(version));
});

function onHaproxy(version: HaproxyVersion): void {
  let running: HaproxyInStep;
  let port: number;

  interface Given {
    readonly service?: Record<string, unknown>;
    readonly top?: Record<string, unknown>;
  }
  /** HAProxy and synapse with some instances of one service; returns a function that gives synapse others. */
  const inStep = async (t: TestContext, { service, top = {} }: Given, instances: readonly Instance[]) => {
    port = await freePort();
    const config = serviceConfig({ port, ...service });
    running = await runningHaproxy(t, { version, top, services: { api: { config, instances } } });
    return (others: readonly Instance[]) => running.synapse.apply({ api: { config, instances: others } });
  };
  const column = async (of: Instance, title: string) => (await running.haproxy.servers()).get(`api/${of.id}`)?.[title];
  const admin = (of: Instance) => column(of, 'srv_admin_state');
  const answers = async (count = 12): Promise<readonly string[]> => {
    const names = new Set<string>();
    for (let index = 0; index < count; index++) names.add(await answerOn(port));
    return [...names].sort();
  };
  /** Puts a proxy in the place of HAProxy's socket, and starts synapse again. */
  const behindProxy = async (t: TestContext, faults: ProxyFaults = {}): Promise<RecordingProxy> => {
    const { haproxy } = running;
    const behind = `${haproxy.folder}/behind.sock`;
    await running.synapse.stop();
    await rename(haproxy.socket, behind);
    const proxy = await recordingProxy(haproxy.socket, behind, faults);
    t.after(() => proxy.close());
    await running.restart();
    return proxy;
  };

  it('answers each line of a pipelined batch with one reply, in order, long after the default timeout', async (t) => {
    await inStep(t, { top: { global: ['stats timeout 1s'] } }, [instance(9)]);
    const end = new AbortController();
    const connection = await connectRuntime(
      running.haproxy.socket,
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

  it('gets another maxconn of a server at once, and still has it after a reload', async (t) => {
    const [one, two] = [await webInstance(t, 'one'), await webInstance(t, 'two')];
    const limited = (of: Instance, maxconn: number): Instance => ({ ...of, serverOptions: `maxconn ${maxconn}` });
    const limit = async (of: Instance): Promise<string | undefined> => {
      const lines = (await running.haproxy.ask('show stat')).split('\n').map((line) => line.split(','));
      const column = lines[0]?.indexOf('slim') ?? -1;
      return lines.find((cells) => cells[0] === 'api' && cells[1] === of.id)?.[column];
    };
    const apply = await inStep(t, { service: { server_options: 'check' } }, [limited(one, 5)]);
    assert.equal(await limit(one), '5');
    const pid = await running.haproxy.workerPid();
    await apply([limited(one, 7), limited(two, 8)]);
    assert.deepEqual([await limit(one), await limit(two)], ['7', '8']);
    await apply([limited(one, 9), two]);
    assert.deepEqual([await limit(one), await limit(two)], ['9', '']);
    assert.equal(running.synapse.reloads(), 0);
    assert.equal(await running.haproxy.workerPid(), pid);
    // The file says the same, so a new worker starts with the same limit.
    await eventually(async () => assert.match(await readFile(running.haproxy.file, 'utf8'), /maxconn 9/));
    await askSocket(running.haproxy.master, 'reload');
    await eventually(async () => assert.notEqual(await running.haproxy.workerPid(), pid));
    assert.deepEqual([await limit(one), await limit(two)], ['9', '']);
    assert.deepEqual(running.synapse.output.status.pendingReload, []);
  });

  it('is reached although other clients hold more CLI sessions than HAProxy allows by default', async (t) => {
    const apply = await inStep(t, {}, [await webInstance(t, 'one')]);
    await running.synapse.stop();
    const others = Array.from({ length: 14 }, () => connect({ path: running.haproxy.socket }));
    t.after(() => {
      for (const other of others) other.destroy();
    });
    await Promise.all(others.map((other) => once(other, 'connect')));
    for (const other of others) other.write('prompt\n');
    const two = await webInstance(t, 'two');
    await running.restart();
    await apply([two]);
    await eventually(async () => assert.deepEqual(await answers(), ['two']));
  });

  it('gets a new server when an instance moves, and the old address gets no more requests', async (t) => {
    const [old, moved, other] = [
      await webInstance(t, 'old'),
      await webInstance(t, 'moved'),
      await webInstance(t, 'other'),
    ];
    const apply = await inStep(t, {}, [{ ...old, name: 'x' }, other]);
    const proxy = await behindProxy(t);
    await apply([old, other]);
    await running.connected();
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
    const requests = Promise.all(Array.from({ length: 20 }, get));
    await apply([moved, other]);
    await requests;
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
    const apply = await inStep(t, {}, []);
    await apply([instance((server.address() as AddressInfo).port)]);
    for (let count = 0; count < 30; count++) await (await fetch(`http://127.0.0.1:${port}/`)).text();
    assert.ok(connections <= 4, `${connections} connections for 30 requests`);
  });

  it('ends the drain of a withdrawn server when its last connection ends, and no earlier', async (t) => {
    const held: Socket[] = [];
    const server = createServer((socket) => void held.push(socket.on('error', () => {})));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
      for (const socket of held) socket.destroy();
      server.close();
    });
    const one = instance((server.address() as AddressInfo).port);
    const apply = await inStep(t, { service: { listen: ['mode tcp'] }, top: { drain_timeout: '60s' } }, [one]);
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

  it('deletes unused servers in the versions that do it safely', async (t) => {
    const [one, two, three] = [await webInstance(t, 'one'), await webInstance(t, 'two'), await webInstance(t, 'three')];
    const asked = version !== '3.2' && version !== '3.4';
    const safe = version !== '2.6';
    const top = { delete_servers_after: '200ms', ...(asked && { delete_servers: true }) };
    const apply = await inStep(t, { service: { server_options: 'check' }, top }, [one, two]);
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
    assert.equal(running.synapse.reloads(), 0);
  });

  if (version === '2.6' || version === '3.0') {
    it('deletes no servers unless delete_servers is set', async (t) => {
      const [one, two] = [await webInstance(t, 'one'), await webInstance(t, 'two')];
      const apply = await inStep(t, { top: { delete_servers_after: '200ms' } }, [one, two]);
      await apply([one]);
      await sleep(2_500);
      assert.equal(await admin(two), '1');
    });
  }

  it('keeps what an operator set by hand, also over a reload, and reports it', async (t) => {
    const [one, two, three, four] = [
      await webInstance(t, '1'),
      await webInstance(t, '2'),
      await webInstance(t, '3'),
      await webInstance(t, '4'),
    ];
    const apply = await inStep(t, {}, [one, two, three, four]);
    await running.haproxy.ask(`set server api/${one.id} state maint`);
    await running.haproxy.ask(`set server api/${two.id} state drain`);
    await running.haproxy.ask(`set server api/${three.id} weight 9`);
    const pid = await running.haproxy.workerPid();
    // A host name cannot be added at run time.
    await apply([one, two, three, four, instance(1, { host: 'localhost', state: 'drain' })]);
    await eventually(() => assert.equal(running.synapse.reloads(), 1));
    assert.notEqual(await running.haproxy.workerPid(), pid);
    await eventually(async () => {
      assert.deepEqual([await admin(one), await admin(two)], ['1', '8']);
      assert.equal(await column(three, 'srv_uweight'), '9');
    });
    // The old worker may accept a connection that was already waiting, and held servers are read after the reload.
    await eventually(async () => assert.deepEqual(await answers(30), ['3', '4']));
    await eventually(() =>
      assert.deepEqual(
        running.synapse.output.status.held.map(({ name, held }) => `${name} ${held}`).sort(),
        [`${one.id} maintenance`, `${two.id} drain`, `${three.id} weight`].sort(),
      ),
    );
    await running.haproxy.ask(`set server api/${one.id} state ready`);
    await apply([one, two, three]);
    await eventually(() => assert.equal(running.synapse.output.status.held.length, 2));
    await eventually(async () => assert.deepEqual(await answers(30), ['1', '3']));
  });

  it('names the command that ends what an operator set by hand', async (t) => {
    const [one, two, three] = [await webInstance(t, '1'), await webInstance(t, '2'), await webInstance(t, '3')];
    const apply = await inStep(t, {}, [one, two, three]);
    await running.haproxy.ask(`set server api/${one.id} weight 0`);
    await running.haproxy.ask(`set server api/${two.id} state drain`);
    await running.haproxy.ask(`set server api/${three.id} state maint`);
    const held = () => running.synapse.output.status.held;
    await eventually(async () => {
      await apply([one, two, three]);
      assert.equal(held().length, 3);
    });
    assert.equal(held().find(({ name }) => name === one.id)?.weight, 0);
    for (const { undo } of held()) await running.haproxy.ask(String(undo));
    await eventually(async () => {
      await apply([one, two, three]);
      assert.deepEqual(held(), []);
    });
    await eventually(async () => assert.deepEqual(await answers(30), ['1', '2', '3']));
  });

  it('keeps what an operator set by hand although the connection breaks while it is read before a reload', async (t) => {
    const [one, two] = [await webInstance(t, 'one'), await webInstance(t, 'two')];
    const apply = await inStep(t, {}, [one, two]);
    let isArmed = false;
    const proxy = await behindProxy(t, {
      onCommand: (command) => {
        if (!isArmed || command !== 'show servers state') return;
        isArmed = false;
        proxy.disconnect(500);
      },
    });
    await apply([one, two]);
    await running.connected();
    const readings = () => proxy.commands.filter((command) => command === 'show servers state').length;
    await eventually(() => assert.equal(readings(), 2));
    isArmed = true;
    await askSocket(`${running.haproxy.folder}/behind.sock`, `set server api/${one.id} state maint`);
    // A host name cannot be added at run time.
    await apply([one, two, instance(1, { host: 'localhost', state: 'drain' })]);
    await eventually(() => assert.equal(running.synapse.reloads(), 1));
    await eventually(async () => assert.deepEqual(await answers(30), ['two']));
    assert.deepEqual(
      running.synapse.output.status.held.map(({ name, held }) => `${name} ${held}`),
      [`${one.id} maintenance`],
    );
  });

  it('has the cookies of added servers at once, or after a reload where that takes one', async (t) => {
    const [one, two] = [await webInstance(t, 'one'), await webInstance(t, 'two')];
    const apply = await inStep(t, { service: { backend: ['cookie SRV insert indirect nocache'] } }, [one]);
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
    await eventually(() => assert.equal(running.synapse.reloads(), version === '2.6' ? 1 : 0));
  });

  /** How many of `count` requests, one after the other, the instance with this name gets. */
  const shareOf = async (name: string, count: number): Promise<number> => {
    let share = 0;
    for (let index = 0; index < count; index++) if ((await answerOn(port)) === name) share += 1;
    return share;
  };

  // HAProxy 3.4 chooses at random where a service has no `balance` line.
  const turns = { backend: ['balance roundrobin'] };
  /** One of two servers gets half of the requests, give or take one: a round may have begun with either. */
  const sharesEqually = async (name: string): Promise<void> => {
    const share = await shareOf(name, 20);
    assert.ok(share >= 9 && share <= 11, `${share} of 20 requests`);
  };

  it('gives an added server little at first with slowstart, and without a reload', async (t) => {
    const [one, two] = [await webInstance(t, 'one'), await webInstance(t, 'two')];
    const apply = await inStep(t, { service: { ...turns, server_options: 'slowstart 20m' } }, [one]);
    await apply([one, two]);
    assert.equal(await column(two, 'srv_op_state'), '1');
    // Of 20 minutes, the requests take seconds: the server has 5 % of its weight.
    const share = await shareOf('two', 80);
    assert.ok(share <= 8, `${share} of 80 requests`);
    assert.equal(running.synapse.reloads(), 0);
  });

  it('gives an added server its full share when the time of slowstart is over', async (t) => {
    const [one, two] = [await webInstance(t, 'one'), await webInstance(t, 'two')];
    const apply = await inStep(t, { service: { ...turns, server_options: 'slowstart 1s' } }, [one]);
    await apply([one, two]);
    await eventually(async () => {
      assert.equal(await column(two, 'srv_op_state'), '2');
      await sharesEqually('two');
    });
    assert.equal(running.synapse.reloads(), 0);
  });

  it('gives a server that comes back after a withdrawal little at first with slowstart', async (t) => {
    const [one, two] = [await webInstance(t, 'one'), await webInstance(t, 'two')];
    const apply = await inStep(t, { service: { ...turns, server_options: 'slowstart 20m' } }, [one, two]);
    await apply([one]);
    await apply([one, two]);
    assert.equal(await column(two, 'srv_op_state'), '1');
    const share = await shareOf('two', 80);
    assert.ok(share <= 8, `${share} of 80 requests`);
  });

  it('gives a server its full share at once when its drain ends, also with slowstart', async (t) => {
    const [one, two] = [await webInstance(t, 'one'), await webInstance(t, 'two')];
    const apply = await inStep(t, { service: { ...turns, server_options: 'slowstart 1s' } }, [one, two]);
    await eventually(async () => assert.equal(await column(two, 'srv_op_state'), '2'));
    await apply([one, { ...two, state: 'drain' }]);
    assert.equal(await shareOf('two', 10), 0);
    await apply([one, two]);
    assert.equal(await column(two, 'srv_op_state'), '2');
    await sharesEqually('two');
  });

  it('sends nothing to added servers before their first check with init-state fully-down', async (t) => {
    // Before 3.1 by command.
    const options = 'check inter 100ms init-state fully-down';
    const [one, two] = [await webInstance(t, 'one'), await webInstance(t, 'two')];
    const apply = await inStep(t, { service: { server_options: options } }, [one]);
    const dead = instance(await freePort());
    await apply([one, two, dead]);
    assert.equal(await column(dead, 'srv_op_state'), '0');
    await eventually(async () => assert.deepEqual(await answers(), ['one', 'two']));
    assert.equal(await column(dead, 'srv_op_state'), '0');
    assert.equal(running.synapse.reloads(), 0);
  });

  it('has the desired servers again after it was killed between two commands', async (t) => {
    const [one, two] = [await webInstance(t, 'one'), await webInstance(t, 'two')];
    const apply = await inStep(t, {}, [one]);
    const pids = await running.haproxy.pids();
    let killed = false;
    await behindProxy(t, {
      onCommand: (command) => {
        if (killed || !command.startsWith('set server')) return;
        killed = true;
        for (const pid of pids) process.kill(pid, 'SIGKILL');
      },
    });
    await apply([one]);
    await running.connected();
    await apply([one, two]);
    await eventually(() => assert.equal(killed, true));
    await running.haproxy.kill();
    await running.haproxy.start();
    await eventually(async () => assert.deepEqual(await answers(), ['one', 'two']));
  });

  it('still has its empty backend when synapse connects to the same worker again', async (t) => {
    const apply = await inStep(t, {}, []);
    const proxy = await behindProxy(t);
    await apply([]);
    await running.connected();
    const greetings = () => proxy.commands.filter((command) => command === 'prompt').length;
    for (let count = 1; count <= 3; count++) {
      proxy.disconnect();
      await eventually(() => assert.equal(greetings(), count + 1));
      await running.connected();
      assert.deepEqual(running.synapse.output.status.pendingReload, []);
    }
    const one = await webInstance(t, 'one');
    await apply([one]);
    assert.deepEqual(await answers(), ['one']);
    assert.equal(running.synapse.reloads(), 0);
  });

  it('has the desired servers although its replies arrive slowly', async (t) => {
    const servers = [await webInstance(t, 'one'), await webInstance(t, 'two')];
    const many = Array.from({ length: 60 }, (_, index) => instance(2_000 + index, { host: '127.0.9.9' }));
    const drained = many.map((each): Instance => ({ ...each, state: 'drain' }));
    const apply = await inStep(t, {}, [...servers, ...drained]);
    await behindProxy(t, { trickle: 64 });
    await apply([...servers, ...drained]);
    await running.connected();
    for (let round = 0; round < 20; round++) await apply([servers[round % 2] as Instance, ...drained.slice(round)]);
    await eventually(async () => assert.deepEqual(await answers(), ['two']));
    assert.equal(running.synapse.reloads(), 0);
    assert.deepEqual(running.synapse.output.status.held, []);
  });
}
