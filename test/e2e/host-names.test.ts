import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import type { StateReport } from '../../synapse/report/status-shape.ts';
import { startDaemon, type TestDaemon } from '../support/daemons/daemon.ts';
import {
  haproxySection,
  type NamedServer,
  namedServer,
  type TestHaproxy,
  testHaproxy,
} from '../support/haproxy/haproxy.ts';
import { type DnsServer, startDnsServer } from '../support/servers/dns-server.ts';
import { until } from '../support/until.ts';

const deadNames = Array.from({ length: 31 }, (_, index) => `dead${index}.test`);

/** Instances with host names, a real HAProxy, and a name server on loopback that does what a test wants. */
describe('host names of instances', () => {
  let haproxy: TestHaproxy;
  let dns: DnsServer;
  let server: NamedServer;
  let synapse: TestDaemon | undefined;
  let port: number;
  let list: string;
  let config: string;

  beforeEach(async () => {
    haproxy = await testHaproxy();
    dns = await startDnsServer();
    server = await namedServer('here');
    port = await freePort();
    list = join(haproxy.folder, 'api.json');
    config = join(haproxy.folder, 'synapse.json');
    for (const name of deadNames) dns.zone.set(`${name} A`, 'hang');
    const service = {
      discovery: { method: 'file', path: list, check_interval: '200ms' },
      haproxy: { port, bind_address: '127.0.0.1', listen: ['mode http'], server_options: 'check inter 2s' },
    };
    await writeFile(
      config,
      JSON.stringify({
        admin: { listen: '127.0.0.1:0' },
        dns: { nameserver: dns.address, timeout: '1s' },
        services: { api: service },
        haproxy: haproxySection(haproxy, { restart_interval: '100ms' }),
      }),
    );
  });
  afterEach(async () => {
    await synapse?.end('SIGKILL');
    await haproxy.close();
    await server.close();
    await dns.close();
  });

  const write = (...hosts: readonly string[]): Promise<void> =>
    writeFile(list, JSON.stringify(hosts.map((host) => ({ host, port: server.port }))));
  const start = async (): Promise<void> => {
    synapse = await startDaemon('synapse', config);
  };
  const fileText = (): Promise<string> => readFile(haproxy.file, 'utf8').catch(() => '');
  const state = async () => {
    const { services } = JSON.parse((await synapse?.get('/api/v1/state'))?.body ?? '') as StateReport;
    return services.api;
  };
  const kinds = async (): Promise<readonly string[]> => {
    const { events } = JSON.parse((await synapse?.get('/api/v1/events'))?.body ?? '{"events":[]}');
    return events.map(({ kind }: { kind: string }) => kind);
  };
  /** The servers that take traffic, by name; each must have been given an address. */
  const servers = async (): Promise<readonly string[]> => {
    const rows = [...(await haproxy.servers())];
    for (const [name, { srv_fqdn: name_ }] of rows) assert.equal(name_, '-', `HAProxy resolves the host of ${name}`);
    return rows.filter(([, row]) => row.srv_admin_state === '0').map(([name]) => name);
  };
  const answers = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/`)).text();

  it('that the DNS does not answer stop neither the first file nor the other instances of their service', async () => {
    await write(...deadNames, '127.0.0.1');
    await start();
    await until(async () => (await fileText()).includes(`server 127.0.0.1:${server.port} `));
    await haproxy.start();
    assert.equal(await answers(), 'here');
    await until(async () => (await synapse?.get('/readyz'))?.status === 200);
    assert.doesNotMatch(await fileText(), /dead/);
    await until(async () => (await kinds()).includes('name_unresolved'));
    const { left_out: leftOut = [], failing_names: failing = [] } = (await state()) ?? {};
    assert.equal(leftOut.length, 31);
    assert.match(leftOut[0]?.reason ?? '', /^its host name dead\d+\.test (is being looked up|cannot be resolved: )/);
    await until(async () => (await state())?.failing_names?.length === 31, 20_000);
    assert.ok(failing.every(({ address }) => address === null));
    const worker = await haproxy.workerPid();

    // The DNS comes back: the servers are added to the running HAProxy.
    for (const name of deadNames) dns.zone.set(`${name} A`, [{ address: '127.0.0.1' }]);
    await until(async () => (await servers()).length === 32, 40_000);
    assert.equal(await haproxy.workerPid(), worker);
    assert.ok((await servers()).includes(`api/dead7.test_127.0.0.1:${server.port}`));
    await until(async () => (await kinds()).includes('name_resolved'));
    assert.deepEqual((await state())?.failing_names, undefined);
    assert.equal(await answers(), 'here');
  });

  it('are followed to other addresses without a reload, and keep the last one when they vanish', async () => {
    let answer = (): void => {};
    const after = new Promise<void>((resolve) => {
      answer = resolve;
    });
    dns.zone.set('late.test A', { after, answers: [{ address: '127.0.0.1', ttl: 0 }] });
    await write('late.test', '127.0.0.1');
    await start();
    await until(async () => (await fileText()).includes('backend api'));
    await haproxy.start();
    answer();
    const named = (address: string): string => `api/late.test_${address}:${server.port}`;
    await until(async () => (await servers()).includes(named('127.0.0.1')));
    const worker = await haproxy.workerPid();
    dns.zone.set('late.test A', [
      { cname: 'real.test', ttl: 0 },
      { name: 'real.test', address: '127.0.0.2', ttl: 0 },
    ]);
    await until(async () => (await servers()).includes(named('127.0.0.2')), 40_000);
    assert.ok(!(await servers()).includes(named('127.0.0.1')), 'the server at the former address takes traffic');
    dns.zone.set('late.test A', 3);
    dns.zone.set('late.test AAAA', 3);
    await until(async () => (await state())?.failing_names?.length === 1, 40_000);
    assert.deepEqual(
      (await state())?.failing_names?.map(({ host, address }) => [host, address]),
      [['late.test', '127.0.0.2']],
    );
    assert.ok((await servers()).includes(named('127.0.0.2')));
    assert.equal(await haproxy.workerPid(), worker);
  });

  it('keep their addresses over a restart of synapse while the DNS does not answer', async () => {
    dns.zone.set('web.test A', [{ address: '127.0.0.1' }]);
    await write('web.test');
    await start();
    const name = `web.test_127.0.0.1:${server.port}`;
    await until(async () => (await fileText()).includes(`server ${name} `));
    await haproxy.start();
    assert.equal(await answers(), 'here');
    await synapse?.end();
    dns.zone.set('web.test A', 'hang');
    await start();
    await until(async () => (await state())?.failing_names?.length === 1, 20_000);
    assert.deepEqual(await servers(), [`api/${name}`]);
    assert.equal(await answers(), 'here');
    assert.match(await fileText(), new RegExp(`server ${name} 127\\.0\\.0\\.1:`));
  });

  it('do not lead to addresses where instances may not be', async () => {
    dns.zone.set('metadata.test A', [{ address: '169.254.169.254' }]);
    dns.zone.set('mapped.test AAAA', [{ address: '::ffff:a9fe:a9fe' }]);
    await write('metadata.test', 'mapped.test', '169.254.169.254', '::ffff:169.254.169.254', '127.0.0.1');
    // An instance that is this HAProxy's own frontend.
    const all = JSON.parse(await readFile(list, 'utf8'));
    await writeFile(list, JSON.stringify([...all, { host: '127.0.0.1', port }]));
    await start();
    await until(async () => (await fileText()).includes(`server 127.0.0.1:${server.port} `));
    await haproxy.start();
    await until(async () => (await state())?.left_out.filter(({ kind }) => kind === 'refused').length === 5);
    assert.deepEqual(await servers(), [`api/127.0.0.1:${server.port}`]);
    assert.doesNotMatch(await fileText(), /169\.254|a9fe/);
    assert.match(JSON.stringify((await state())?.left_out), /those of the frontend of api on this host: a loop/);
    assert.ok((await kinds()).includes('instance_refused'));
    assert.equal(await answers(), 'here');
  });
});
