import assert from 'node:assert/strict';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { sleep } from '../../../common/async/sleep.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { eventually } from '../../support/eventually.ts';
import {
  askSocket,
  type NamedServer,
  namedServer,
  type TestHaproxy,
  testHaproxy,
} from '../../support/haproxy/haproxy.ts';
import {
  instance,
  type RunningOutput,
  runOutput,
  serviceConfig,
  testConfig,
} from '../../support/haproxy/haproxy-output.ts';
import { recordingProxy } from '../../support/haproxy/recording-proxy.ts';
import { type HaproxyVersion, haproxyVersions } from '../../support/haproxy/versions.ts';

// Side by side: most of their time they wait.
describe('the HAProxy output on a real HAProxy', { concurrency: haproxyVersions.length }, () => {
  for (const version of haproxyVersions) describe(`HAProxy ${version}`, { concurrency: 1 }, () => onHaproxy(version));
});

function onHaproxy(version: HaproxyVersion): void {
  const servers: NamedServer[] = [];
  let haproxy: TestHaproxy;
  let synapse: RunningOutput;
  let port: number;
  let api: ReturnType<typeof serviceConfig>;

  before(async () => {
    for (const name of ['one', 'two', 'three']) servers.push(await namedServer(name));
  });
  after(async () => {
    for (const server of servers) await server.close();
  });
  beforeEach(async () => {
    haproxy = await testHaproxy(version);
    port = await freePort();
    api = serviceConfig({ port, server_options: 'check inter 1s' });
  });
  afterEach(async () => {
    await synapse?.stop();
    await haproxy.close();
  });

  const at = (index: number, fields = {}) => instance(servers[index]?.port ?? 0, fields);
  const config = () => testConfig(haproxy);
  /** The names of the servers that answer `count` requests through HAProxy, sorted, each once. */
  const answers = async (count = 24): Promise<readonly string[]> => {
    const names = new Set<string>();
    for (let index = 0; index < count; index++) {
      const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
      names.add(response.status === 200 ? await response.text() : String(response.status));
    }
    return [...names].sort();
  };
  /** A HAProxy that runs what synapse wrote for these instances. */
  const inStep = async (...instances: ReturnType<typeof instance>[]): Promise<void> => {
    synapse = runOutput(config());
    await synapse.apply({ api: { config: api, instances } });
    await eventually(async () => assert.match(await readFile(haproxy.file, 'utf8'), /backend api/));
    await haproxy.start();
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
  };
  const text = () => readFile(haproxy.file, 'utf8');

  it('a state file that is older than haproxy.cfg takes no server away', async () => {
    await inStep(at(0), at(1));
    await synapse.stop();
    synapse = runOutput(config());
    await synapse.apply({ api: { config: api, instances: [at(0)], fromStateFile: 'cache' } });
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    assert.deepEqual(await answers(), ['one', 'two']);
    // The source answers with the same instances.
    await synapse.apply({ api: { config: api, instances: [at(0)] } });
    await eventually(async () => assert.deepEqual(await answers(), ['one']));
    await eventually(async () => assert.doesNotMatch(await text(), new RegExp(`server ${at(1).id} `)));
    assert.equal(synapse.reloads(), 0);
  });

  it('a state file does not open what haproxy.cfg drains, and a server that others have opened is closed', async () => {
    await inStep(at(0), at(1));
    await synapse.apply({ api: { config: api, instances: [{ ...at(0), state: 'drain' }] } });
    await eventually(async () => assert.match(await text(), new RegExp(`server ${at(0).id} .* weight 0`)));
    await synapse.stop();
    synapse = runOutput(config());
    await synapse.apply({ api: { config: api, instances: [at(0), at(1)], fromStateFile: 'previous' } });
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    const states = async () => (await haproxy.ask('show stat -1 4 -1')).split('\n');
    const statusOf = async (id: string) => (await states()).find((row) => row.includes(`,${id},`))?.split(',')[17];
    assert.match((await statusOf(at(0).id)) ?? '', /^DRAIN/);
    await haproxy.ask(`set server api/${at(1).id} weight 100%`);
    await haproxy.ask(`set server api/${at(1).id} state ready`);
    await eventually(async () => assert.match((await statusOf(at(1).id)) ?? 'MAINT', /MAINT/));
    assert.match((await statusOf(at(0).id)) ?? '', /^DRAIN/);
  });

  it('a state file serves where haproxy.cfg has no server of the service', async () => {
    synapse = runOutput(config());
    await synapse.apply({ api: { config: api, instances: [at(0)], fromStateFile: 'cache' } });
    await eventually(async () => assert.match(await text(), new RegExp(`server ${at(0).id} `)));
    await haproxy.start();
    assert.deepEqual(await answers(), ['one']);
  });

  it('writes the file before HAProxy runs, and connects when HAProxy has started with it', async () => {
    await inStep(at(0));
    assert.deepEqual(await answers(), ['one']);
    assert.equal(synapse.reloads(), 0);
    assert.deepEqual(synapse.output.status.pendingReload, []);
  });

  it('says why the file cannot be written, and writes it as soon as that works', async () => {
    await mkdir(haproxy.file);
    synapse = runOutput(config());
    await synapse.apply({ api: { config: api, instances: [at(0)] } });
    await eventually(() =>
      assert.match(synapse.output.status.lastError ?? '', /cannot write .*haproxy.cfg is not a file but a folder/),
    );
    await rm(haproxy.file, { recursive: true });
    await eventually(async () => assert.match(await text(), /backend api/));
    await eventually(() => assert.equal(synapse.output.status.lastError, null));
  });

  it('adds, drains, reweights and removes servers without a reload', async () => {
    await inStep(at(0));
    const pid = await haproxy.workerPid();
    await synapse.apply({ api: { config: api, instances: [at(0), at(1)] } });
    assert.deepEqual(await answers(), ['one', 'two']);
    await synapse.apply({ api: { config: api, instances: [at(0, { state: 'drain' }), at(1)] } });
    assert.deepEqual(await answers(), ['two']);
    await eventually(async () => assert.match(await text(), new RegExp(`server ${at(0).id} .* weight 0$`, 'm')));
    await synapse.apply({ api: { config: api, instances: [at(0), at(1, { weight: 7 })] } });
    // With weights this uneven, the turn of the lighter one may be dozens of requests away (seen on 3.4).
    await eventually(async () => assert.deepEqual(await answers(), ['one', 'two']));
    assert.equal((await haproxy.servers()).get(`api/${at(1).id}`)?.srv_uweight, '7');
    await synapse.apply({ api: { config: api, instances: [at(1, { weight: 7 })] } });
    assert.deepEqual(await answers(), ['two']);
    await synapse.apply({ api: { config: api, instances: [at(1, { weight: 7 }), at(0)] } });
    await eventually(async () => assert.deepEqual(await answers(), ['one', 'two']));
    await synapse.stop();
    assert.equal(await haproxy.workerPid(), pid);
    assert.equal(synapse.reloads(), 0);
    const written = await text();
    await haproxy.kill();
    await haproxy.start();
    assert.match(written, new RegExp(`server ${at(1).id} .* weight 7$`, 'm'));
    await eventually(async () => assert.deepEqual(await answers(), ['one', 'two']));
  });

  it('adopts a HAProxy that has the desired servers already, without a command, a reload or a write', async () => {
    await inStep(at(0), at(1));
    await synapse.apply({ api: { config: api, instances: [at(0), at(1), at(2)] } });
    await synapse.stop();
    const written = await text();
    // The recorder takes the place of HAProxy's own socket, which answers under another name from now on.
    await rename(haproxy.socket, `${haproxy.folder}/behind.sock`);
    const proxy = await recordingProxy(haproxy.socket, `${haproxy.folder}/behind.sock`);
    const pid = await haproxy.workerPid();
    synapse = runOutput(config());
    await synapse.apply({ api: { config: api, instances: [at(0), at(1), at(2)] } });
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    await sleep(1500);
    await synapse.stop();
    const pidAfter = await haproxy.workerPid();
    await proxy.close();
    assert.deepEqual(
      proxy.commands.filter((command) => !/^(prompt|set timeout cli|show )/.test(command)),
      [],
    );
    assert.equal(await text(), written);
    assert.equal(pidAfter, pid);
    assert.equal(synapse.reloads(), 0);
  });

  it('reloads for a new service, changed options and a removed service, and says why', async () => {
    await inStep(at(0));
    const pid = await haproxy.workerPid();
    const second = await freePort();
    const web = serviceConfig({ port: second });
    const apiState = { config: api, instances: [at(0)] };
    await synapse.apply({ api: apiState, web: { config: web, instances: [at(1)] } });
    await eventually(() => assert.equal(synapse.reloads(), 1));
    assert.notEqual(await haproxy.workerPid(), pid);
    assert.equal(await (await fetch(`http://127.0.0.1:${second}/`)).text(), 'two');
    await synapse.apply({
      api: { ...apiState, config: serviceConfig({ port, listen: ['option httplog'] }) },
      web: { config: web, instances: [at(1)] },
    });
    await eventually(() => assert.equal(synapse.reloads(), 2));
    await synapse.apply({ api: { ...apiState, config: serviceConfig({ port, listen: ['option httplog'] }) } });
    await eventually(() => assert.equal(synapse.reloads(), 3));
    assert.doesNotMatch(await text(), /web/);
    assert.deepEqual(
      synapse.events.filter(({ type }) => type === 'reloaded').map((event) => 'reasons' in event && event.reasons),
      [['service web is new'], ['service api has other options'], ['service web was removed']],
    );
    assert.deepEqual(await answers(), ['one']);
  });

  it('reports a refused configuration in the words of HAProxy, and keeps servers up to date meanwhile', async () => {
    await inStep(at(0));
    const pid = await haproxy.workerPid();
    const broken = serviceConfig({ port: await freePort(), listen: ['mode http', 'no-such-directive at all'] });
    await synapse.apply({ api: { config: api, instances: [at(0)] }, bad: { config: broken, instances: [at(1)] } });
    await eventually(() =>
      assert.match(
        synapse.output.status.quarantined.bad ?? '',
        /options: services\.bad\.haproxy\.listen\[1\]: unknown keyword 'no-such-directive'.*: no-such-directive at all\)$/,
      ),
    );
    assert.doesNotMatch(synapse.output.status.quarantined.bad ?? '', /haproxy\.cfg|parsing/);
    assert.doesNotMatch(await text(), /no-such-directive/);
    await synapse.apply({ api: { config: api, instances: [at(1)] }, bad: { config: broken, instances: [at(1)] } });
    assert.deepEqual(await answers(), ['two']);
    await eventually(async () => assert.match(await text(), new RegExp(at(1).id)));
    assert.equal(await haproxy.workerPid(), pid);
    const refusals = synapse.events.filter((event) => event.type === 'rejected');
    assert.deepEqual(
      refusals.map(({ services }) => services),
      [['bad']],
    );
    await synapse.apply({ api: { config: api, instances: [at(1)] } });
    await eventually(() => assert.deepEqual(synapse.output.status.quarantined, {}));
    assert.deepEqual(synapse.output.status.pendingReload, []);
  });

  it('reconnects after an operator reloaded HAProxy with an older file', async () => {
    await inStep(at(0));
    const older = await text();
    await synapse.apply({ api: { config: api, instances: [at(0), at(1)] } });
    await eventually(async () => assert.match(await text(), new RegExp(at(1).id)));
    await writeFile(haproxy.file, older);
    const pid = await haproxy.workerPid();
    const [master] = await haproxy.pids();
    process.kill(Number(master), 'SIGUSR2');
    await eventually(async () => assert.notEqual(await haproxy.workerPid(), pid));
    await eventually(async () => assert.deepEqual(await answers(), ['one', 'two']));
    await eventually(async () => assert.match(await text(), new RegExp(at(1).id)));
    assert.equal(synapse.reloads(), 0);
    await synapse.apply({ api: { config: api, instances: [at(1)] } });
    assert.deepEqual(await answers(), ['two']);
  });

  it('brings its configuration back after an operator loaded another one', async () => {
    await inStep(at(0));
    const other = (await text())
      .replace(/SYNAPSE_GEN \S+/, 'SYNAPSE_GEN other')
      .replace('backend api', 'backend api\n\tbalance first');
    await writeFile(haproxy.file, other);
    // The master's socket: a signal so soon after the start is lost on 2.6.
    await askSocket(haproxy.master, 'reload');
    await eventually(() => assert.equal(synapse.reloads(), 1));
    assert.doesNotMatch(await text(), /balance first/);
    assert.match(await haproxy.ask('show env SYNAPSE_GEN'), new RegExp(String(synapse.output.status.generation)));
    assert.deepEqual(await answers(), ['one']);
  });

  it('reports a reload that fails, keeps the old worker up to date, and reloads as soon as that works', async (t) => {
    await inStep(at(0));
    const pid = await haproxy.workerPid();
    const taken = await namedServer('in the way');
    t.after(() => taken.close());
    const web = { config: serviceConfig({ port: taken.port }), instances: [at(2)] };
    await synapse.apply({ api: { config: api, instances: [at(0)] }, web });
    await eventually(() =>
      assert.match(
        synapse.output.status.lastError ?? '',
        /keeps the old one|HAProxy did not reload: .*Address already in use/,
      ),
    );
    await synapse.apply({ api: { config: api, instances: [at(1)] }, web });
    // HAProxy stops listening for a moment while its successor tries in vain.
    await eventually(async () => assert.deepEqual(await answers(), ['two']));
    await eventually(async () => assert.equal(await haproxy.workerPid(), pid));
    await taken.close();
    await eventually(() => assert.equal(synapse.reloads(), 1));
    assert.equal(await (await fetch(`http://127.0.0.1:${taken.port}/`)).text(), 'three');
    assert.equal(synapse.output.status.lastError, null);
  });

  it('reconnects after HAProxy was killed and started again', async () => {
    await inStep(at(0));
    await haproxy.kill();
    await synapse.apply({ api: { config: api, instances: [at(1)] } });
    await eventually(async () => assert.match(await text(), new RegExp(at(1).id)));
    await haproxy.start();
    assert.deepEqual(await answers(), ['two']);
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    await synapse.apply({ api: { config: api, instances: [at(0), at(1)] } });
    assert.deepEqual(await answers(), ['one', 'two']);
    assert.equal(synapse.reloads(), 0);
  });

  it('has the desired servers again after HAProxy was frozen for longer than a reply may take', async () => {
    await inStep(at(0));
    const pids = await haproxy.pids();
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    const applied = synapse.apply({ api: { config: api, instances: [at(0), at(1)] } });
    await sleep(4_000);
    await applied;
    await synapse.apply({ api: { config: api, instances: [at(1), at(2)] } });
    for (const pid of pids) process.kill(pid, 'SIGCONT');
    await eventually(async () => assert.deepEqual(await answers(), ['three', 'two']));
    assert.equal(synapse.reloads(), 0);
    await eventually(() => assert.deepEqual(synapse.output.status.held, []));
  });

  it('leaves servers as an operator set them, and reports them', async () => {
    await inStep(at(0), at(1), at(2));
    await haproxy.ask(`set server api/${at(0).id} state maint`);
    await haproxy.ask(`set server api/${at(1).id} weight 5`);
    // A change elsewhere in the backend has it read again.
    await synapse.apply({ api: { config: api, instances: [at(0), at(1), at(2, { weight: 3 })] } });
    await eventually(() =>
      assert.deepEqual(
        synapse.output.status.held.map(({ name, held }) => `${name} ${held}`).sort(),
        [`${at(0).id} maintenance`, `${at(1).id} weight`].sort(),
      ),
    );
    assert.deepEqual(await answers(), ['three', 'two']);
    const rows = await haproxy.servers();
    assert.equal(rows.get(`api/${at(1).id}`)?.srv_uweight, '5');
    await haproxy.ask(`set server api/${at(0).id} state ready`);
    assert.deepEqual(await answers(40), ['one', 'three', 'two']);
    assert.equal(synapse.reloads(), 0);
  });

  it('never touches sections of others, nor servers that an operator added', async () => {
    const extra = { 'backend other': ['server lone 127.0.0.1:9 disabled', 'server 127.0.0.1:10 127.0.0.1:10'] };
    synapse = runOutput(testConfig(haproxy, { extra_sections: extra }));
    await synapse.apply({ api: { config: api, instances: [at(0)] } });
    await eventually(async () => assert.match(await text(), /backend api/));
    await haproxy.start();
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    assert.match(await haproxy.ask(`add server api/mine 127.0.0.1:${at(2).port}`), /registered/);
    await haproxy.ask('set server api/mine state ready');
    await synapse.apply({ api: { config: api, instances: [at(1)] } });
    await eventually(async () => assert.deepEqual(await answers(), ['three', 'two']));
    await sleep(500);
    const rows = await haproxy.servers();
    assert.equal(rows.get('other/127.0.0.1:10')?.srv_admin_state, '0');
    assert.equal(rows.get('other/lone')?.srv_admin_state, '5');
    assert.equal(rows.get('api/mine')?.srv_admin_state, '0');
  });

  it('lets a drained server that is withdrawn finish its connections, and takes other servers out at once', async () => {
    synapse = runOutput(testConfig(haproxy, { drain_timeout: '1s' }));
    await synapse.apply({ api: { config: api, instances: [at(0), at(1), at(2)] } });
    await eventually(async () => assert.match(await text(), /backend api/));
    await haproxy.start();
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    await synapse.apply({ api: { config: api, instances: [at(0, { state: 'drain' }), at(1), at(2)] } });
    await synapse.apply({ api: { config: api, instances: [at(0, { state: 'down' }), at(1)] } });
    const state = async (index: number) => (await haproxy.servers()).get(`api/${at(index).id}`)?.srv_admin_state;
    assert.equal(await state(2), '1');
    assert.equal(await state(0), '8');
    await synapse.apply({ api: { config: api, instances: [at(1)] } });
    await eventually(async () => assert.equal(await state(0), '1'));
    assert.equal(synapse.reloads(), 0);
  });

  it('reloads once where a server cannot be added at run time', async () => {
    await inStep(at(0));
    await synapse.apply({ api: { config: api, instances: [at(0), at(1, { host: 'localhost' })] } });
    await eventually(() => assert.equal(synapse.reloads(), 1));
    await eventually(async () => assert.deepEqual(await answers(), ['one', 'two']));
    await sleep(1_000);
    assert.equal(synapse.reloads(), 1);
    assert.deepEqual(synapse.output.status.pendingReload, []);
  });

  it('adopts servers that a killed synapse had not written to the file yet, and opens those that it had closed', async () => {
    await inStep(at(0));
    const older = await text();
    await synapse.apply({ api: { config: api, instances: [at(0), at(1), at(2)] } });
    await synapse.apply({ api: { config: api, instances: [at(0), at(1)] } });
    await synapse.stop();
    await writeFile(haproxy.file, older);
    synapse = runOutput(config());
    await synapse.apply({ api: { config: api, instances: [at(0), at(1), at(2)] } });
    await eventually(async () => assert.deepEqual(await answers(), ['one', 'three', 'two']));
    await eventually(async () => assert.match(await text(), new RegExp(at(2).id)));
    const rows = await haproxy.servers();
    const ids = [...(await text()).matchAll(/server (\S+) \S+ id (\d+)/g)].map(([, name, id]) => [name, id]);
    assert.deepEqual(
      ids.sort(),
      [0, 1, 2].map((index) => [at(index).id, rows.get(`api/${at(index).id}`)?.srv_id]).sort(),
    );
    assert.equal(synapse.reloads(), 0);
    assert.deepEqual(synapse.output.status.held, []);
  });

  it('reloads with reload_command where there is no master socket, and lets go of the old worker', async () => {
    synapse = runOutput(
      testConfig(haproxy, {
        master_socket_path: null,
        reload_command: `kill -USR2 $(cat ${haproxy.folder}/pid)`,
      }),
    );
    await synapse.apply({ api: { config: api, instances: [at(0)] } });
    await eventually(async () => assert.match(await text(), /backend api/));
    await haproxy.start();
    const [master] = await haproxy.pids();
    await writeFile(`${haproxy.folder}/pid`, String(master));
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    await synapse.apply({
      api: { config: serviceConfig({ port, backend: ['balance leastconn'] }), instances: [at(1)] },
    });
    await eventually(() => assert.equal(synapse.reloads(), 1));
    assert.deepEqual(await answers(), ['two']);
    await eventually(async () => assert.equal((await haproxy.pids()).length, 2));
  });

  it('loses no request while servers come, go, drain and change weight all the time', async () => {
    await inStep(at(0), at(1), at(2));
    const pid = await haproxy.workerPid();
    let going = true;
    const failures: string[] = [];
    let requests = 0;
    const client = async (headers: Record<string, string>): Promise<void> => {
      while (going) {
        const response = await fetch(`http://127.0.0.1:${port}/`, { headers }).catch((error) => ({
          status: String(error.cause ?? error),
          text: async () => '',
        }));
        await response.text();
        requests += 1;
        if (response.status !== 200) failures.push(String(response.status));
      }
    };
    const clients = [client({}), client({}), client({ connection: 'close' }), client({ connection: 'close' })];
    for (let round = 0; round < 100; round++) {
      const index = round % 3;
      const others = [0, 1, 2].filter((other) => other !== index);
      const rest = others.map((other) => at(other, { weight: 1 + ((round * 7) % 20) }));
      const instances = round % 2 === 0 ? rest : [...rest, at(index, { state: 'drain' })];
      await synapse.apply({ api: { config: api, instances } });
      await synapse.apply({ api: { config: api, instances: [at(0), at(1), at(2)] } });
    }
    going = false;
    await Promise.all(clients);
    assert.deepEqual(failures, []);
    assert.ok(requests > 100, `${requests} requests`);
    assert.equal(await haproxy.workerPid(), pid);
    assert.equal(synapse.reloads(), 0);
  });

  // What follows does not depend on the version.
  if (version !== haproxyVersions[0]) return;

  it('keeps the servers of a service whose instances are not known', async () => {
    await inStep(at(0), at(1));
    const written = await text();
    await synapse.stop();
    synapse = runOutput(config());
    await synapse.apply({ api: { config: api, instances: undefined } });
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    await sleep(500);
    assert.deepEqual(await answers(), ['one', 'two']);
    assert.equal(await text(), written);
    await synapse.apply({ api: { config: api, instances: [at(1)] } });
    assert.deepEqual(await answers(), ['two']);
    assert.equal(synapse.reloads(), 0);
  });

  it('writes addresses in place of the host names of servers that it keeps, and takes them over later', async () => {
    await inStep(at(0), at(1, { host: 'localhost' }));
    assert.match(await text(), / localhost:/);
    await synapse.stop();
    synapse = runOutput(config());
    // Another service has the file written and HAProxy reloaded.
    const other = serviceConfig({ backend: ['mode http'] });
    await synapse.apply({ api: { config: api, instances: undefined }, other: { config: other, instances: [] } });
    await eventually(() => assert.equal(synapse.reloads(), 1));
    assert.doesNotMatch(await text(), / localhost:\d/);
    const { id } = at(1);
    assert.match(await text(), new RegExp(`server ${id} ${id.replace(/^.*_/, '')} `));
    await eventually(async () => assert.deepEqual(await answers(), ['one', 'two']));
    const byFile = await haproxy.workerPid();
    await synapse.apply({ api: { config: api, instances: [at(0), at(1)] }, other: { config: other, instances: [] } });
    assert.deepEqual(await answers(), ['one', 'two']);
    assert.equal(await haproxy.workerPid(), byFile);
  });

  it('keeps running servers up to date when the first configuration is refused', async () => {
    await inStep(at(0));
    await synapse.stop();
    const written = await text();
    synapse = runOutput({ ...config(), global: ['no-such-directive at all'] });
    await synapse.apply({ api: { config: api, instances: [at(1)] } });
    await eventually(() => assert.match(synapse.output.status.rejected ?? '', /no-such-directive/));
    await eventually(async () => assert.deepEqual(await answers(), ['two']));
    assert.equal(await text(), written);
    assert.equal(synapse.reloads(), 0);
  });

  it('leaves servers that HAProxy refuses out of the file, and writes the others', async () => {
    const trusting = testConfig(haproxy, { trust_server_options: ['*'] });
    synapse = runOutput(trusting);
    await synapse.apply({ api: { config: api, instances: [at(0)] } });
    await eventually(async () => assert.match(await text(), /backend api/));
    await haproxy.start();
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    const bad = at(1, { serverOptions: 'no-such-option' });
    await synapse.apply({ api: { config: api, instances: [at(0), bad, at(2)] } });
    await eventually(async () => assert.match(await text(), new RegExp(at(2).id)));
    assert.doesNotMatch(await text(), /no-such-option/);
    assert.deepEqual(await answers(), ['one', 'three']);
  });

  it('goes on over its connection when the socket file is gone, and by reloads when the connection is lost too', async () => {
    await inStep(at(0));
    await rm(haproxy.socket);
    await synapse.apply({ api: { config: api, instances: [at(0), at(1)] } });
    assert.deepEqual(await answers(), ['one', 'two']);
    await eventually(async () => assert.match(await text(), new RegExp(at(1).id)));
    await synapse.stop();
    synapse = runOutput(config());
    await synapse.apply({ api: { config: api, instances: [at(1), at(2)] } });
    await eventually(() => assert.equal(synapse.reloads(), 1));
    await eventually(async () => assert.deepEqual(await answers(), ['three', 'two']));
    assert.equal(synapse.output.status.sockets[0]?.connected, false);
  });

  it('reloads a HAProxy that runs a configuration of others', async () => {
    const stranger = [
      'global',
      `	stats socket ${haproxy.socket} level admin`,
      'defaults',
      '	timeout connect 1s',
      '	timeout client 1s',
      '	timeout server 1s',
      '',
    ];
    await writeFile(haproxy.file, stranger.join('\n'));
    await haproxy.start();
    synapse = runOutput(config());
    await synapse.apply({ api: { config: api, instances: [at(0)] } });
    await eventually(() => assert.equal(synapse.reloads(), 1));
    assert.deepEqual(await answers(), ['one']);
    const lastGood = () => readFile(`${haproxy.folder}/etc/.synapse/haproxy.cfg.lkg`, 'utf8');
    await eventually(async () => assert.equal(await lastGood(), await text()));
  });

  it('reports in the words of reload_command that a reload failed, and goes on', async () => {
    synapse = runOutput(
      testConfig(haproxy, { master_socket_path: null, reload_command: 'echo no such unit >&2; exit 5' }),
    );
    await synapse.apply({ api: { config: api, instances: [at(0)] } });
    await eventually(async () => assert.match(await text(), /backend api/));
    await haproxy.start();
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    const other = serviceConfig({ port, backend: ['balance leastconn'] });
    await synapse.apply({ api: { config: other, instances: [at(0)] } });
    await eventually(() => assert.match(synapse.output.status.lastError ?? '', /exit code 5: no such unit/));
    assert.deepEqual(synapse.output.status.pendingReload, ['service api has other options']);
    await synapse.apply({ api: { config: other, instances: [at(1)] } });
    assert.deepEqual(await answers(), ['two']);
  });

  it('only writes and reloads where do_socket is false', async () => {
    const lines = [`stats socket ${haproxy.socket} level admin`];
    await writeFile(haproxy.file, `global\n\t${lines[0]}\n`);
    await haproxy.start();
    synapse = runOutput(testConfig(haproxy, { do_socket: false, global: lines }));
    await synapse.apply({ api: { config: api, instances: [at(0)] } });
    await eventually(async () => assert.deepEqual(await answers(), ['one']));
    await synapse.apply({ api: { config: api, instances: [at(1)] } });
    await eventually(async () => assert.deepEqual(await answers(), ['two']));
    await eventually(() => assert.deepEqual(synapse.output.status.pendingReload, []));
    assert.equal(synapse.reloads(), 2);
    assert.deepEqual(synapse.output.status.sockets, []);
  });
}
