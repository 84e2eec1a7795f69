import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { execute } from '../../common/cli/daemon.ts';
import type { Command, Program } from '../../common/cli/program.ts';
import type { EtcdClient } from '../../common/etcd/client/client.ts';
import type { LocalCluster } from '../../etcd-cluster/members/local-cluster.ts';
import { freePorts } from '../../etcd-cluster/members/ports.ts';
import { nerveProgram } from '../../nerve/whole-program.ts';
import { synapseProgram } from '../../synapse/whole-program.ts';
import { startDaemon, type TestDaemon } from '../support/daemons/daemon.ts';
import { directClient, put, remove, testCluster } from '../support/etcd/etcd.ts';
import { eventually } from '../support/eventually.ts';
import { assertGolden, masked } from '../support/golden.ts';
import {
  haproxySection,
  type NamedServer,
  namedServer,
  type TestHaproxy,
  testHaproxy,
} from '../support/haproxy/haproxy.ts';
import { mismatches } from '../support/json-shape.ts';
import { until } from '../support/until.ts';

/** The output of the commands beside one stack of real parts, in different situations. Each test ends with all well. */
describe('the commands', () => {
  const end = new AbortController();
  const names = new Map<string, string>();
  const servers: NamedServer[] = [];
  let cluster: LocalCluster;
  let client: EtcdClient;
  let haproxy: TestHaproxy;
  let nerve: TestDaemon;
  let synapse: TestDaemon;
  let synapseFile: string;
  let nerveFile: string;
  /** The id of the first instance that nerve announces. */
  let id: string;
  let webKey: string;
  /** For one more instance of the service, beside those of nerve. */
  let spareKey: string;
  let sparePort: number;

  before(async () => {
    // The commands run in this process and log to its stderr.
    process.env.LOG_LEVEL = 'error';
    cluster = await testCluster('3.5', { size: 1 });
    client = directClient(cluster, end.signal);
    haproxy = await testHaproxy('2.6');
    for (let i = 0; i < 5; i++) servers.push(await namedServer(`server-${i}`));
    // In the order of their keys.
    const [one = 0, two = 0, three = 0, web = 0, spare = 0] = servers.map(({ port }) => port).sort(byText);
    const [api = 0, webPort = 0, synapseAdmin = 0, nerveAdmin = 0] = await freePorts(4);
    const known = {
      API_1: one,
      API_2: two,
      API_3: three,
      WEB: web,
      SPARE: spare,
      SYNAPSE: synapseAdmin,
      NERVE: nerveAdmin,
    };
    for (const [name, port] of Object.entries(known)) names.set(`:${port}`, `:${name}`);
    names.set(cluster.urls[0] ?? '', 'http://ETCD');
    names.set(haproxy.folder, 'DIR');
    names.set((await haproxyVersion()) ?? '', 'VERSION');
    id = `i-1_127.0.0.1:${one}`;
    webKey = `/nerve/services/web/w_127.0.0.1:${web}`;
    spareKey = `/nerve/services/api/i-2_127.0.0.1:${spare}`;
    sparePort = spare;
    nerveFile = join(haproxy.folder, 'nerve.json');
    synapseFile = join(haproxy.folder, 'synapse.json');
    await writeFile(
      nerveFile,
      JSON.stringify({
        instance_id: 'i-1',
        ttl: 5,
        etcd: { hosts: cluster.urls },
        admin: { listen: `127.0.0.1:${nerveAdmin}`, control_socket: join(haproxy.folder, 'nerve.sock') },
        state_file_path: false,
        services: {
          api: {
            host: '127.0.0.1',
            instances: [{ port: one }, { port: two }, { port: three }],
            check_interval: 0.1,
            checks: [{ type: 'tcp', timeout: 1, rise: 1, fall: 2 }],
          },
        },
      }),
    );
    const discovery = { method: 'etcd' };
    const fallback = { method: 'static', servers: [{ name: 's', host: '127.0.0.1', port: spare }], after: '2s' };
    const lines = { listen: ['mode http'], server_options: 'check inter 200ms' };
    await writeFile(
      synapseFile,
      JSON.stringify({
        etcd: { hosts: cluster.urls },
        admin: { listen: `127.0.0.1:${synapseAdmin}` },
        state_file_path: join(haproxy.folder, 'state.json'),
        fleet: { id: 'proxy-1' },
        services: {
          api: { discovery, haproxy: { ...lines, port: api } },
          web: {
            discovery: { ...discovery, fallback },
            use_previous_backends: false,
            haproxy: { ...lines, port: webPort },
          },
        },
        haproxy: haproxySection(haproxy, { restart_interval: 0 }),
      }),
    );
    await Promise.all([haproxy.startEmpty(), announceWeb(), startNerve()]);
    synapse = await startDaemon('synapse', synapseFile);
    await well();
    // An instance that changes while synapse runs has every step of the explanation.
    const drained = await run(nerveProgram, ['drain', 'api', id, '-c', nerveFile]);
    assert.equal(drained.code, 0, drained.text);
    await until(async () => /DRAIN/.test((await run(synapseProgram, ['status', 'api', '-c', synapseFile])).text));
    await run(nerveProgram, ['undrain', 'api', id, '-c', nerveFile]);
    await well();
  });
  after(async () => {
    await synapse?.end('SIGKILL');
    await nerve?.end('SIGKILL');
    end.abort();
    await haproxy?.close();
    for (const server of servers) await server.close();
    await cluster?.stopAll();
  });

  const startNerve = async (): Promise<void> => {
    nerve = await startDaemon('nerve', nerveFile);
  };
  const announceWeb = (): Promise<number> =>
    put(client, webKey, JSON.stringify({ host: '127.0.0.1', port: Number(webKey.split(':')[1]), name: 'w' }));
  async function haproxyVersion(): Promise<string | undefined> {
    const { exec } = await import('../../common/daemon/exec.ts');
    return /version (\S+)/.exec((await exec([haproxy.program, '-v'], { timeoutMs: 10_000 })).stdout)?.[1];
  }

  async function run(program: Program, argv: readonly string[]): Promise<{ code: number; text: string }> {
    let text = '';
    const print = (more: string): void => {
      text += more;
    };
    const code = await execute(program, argv, { env: { LOG_LEVEL: 'error' }, print, complain: print });
    return { code, text };
  }

  /** Waits until every instance is up in HAProxy and nothing is wrong. */
  async function well(): Promise<void> {
    await eventually(async () => {
      const { code, text } = await run(synapseProgram, ['status', '-c', synapseFile]);
      assert.equal(code, 0, text);
      assert.match(text, /ready; all is well/);
      assert.equal(text.match(/ up .* UP, L4OK /g)?.length, 4, text);
      assert.doesNotMatch(text, /! /);
      assert.match(text, /, 1 proxy$/m);
      assert.equal((await run(nerveProgram, ['status', '-c', nerveFile])).code, 0);
    });
  }
  const says = (pattern: RegExp, ...argv: string[]): Promise<void> =>
    eventually(async () => assert.match((await run(synapseProgram, [...argv, '-c', synapseFile])).text, pattern));

  /** Compares the output of every command with the golden file, and its JSON with its shape. */
  async function matches(
    situation: string,
    more: readonly (readonly string[])[] = [],
    happened?: { readonly since: number; readonly shown: RegExp },
  ): Promise<void> {
    const calls: readonly (readonly [Program, readonly string[]])[] = [
      [synapseProgram, ['status']],
      [synapseProgram, ['services']],
      [synapseProgram, ['explain', 'api']],
      [synapseProgram, ['explain', 'api', id]],
      ...more.map((argv) => [synapseProgram, argv] as const),
      [synapseProgram, ['plan']],
      [nerveProgram, ['status']],
    ];
    const said = await Promise.all(
      calls.map(async ([program, words]) => {
        // A short wait where sources are away: when all answer, no command waits.
        const wait = program === nerveProgram ? [] : ['--wait', situation.startsWith('etcd-') ? '0.5' : '20'];
        const argv = [...words, '-c', program === nerveProgram ? nerveFile : synapseFile, ...wait];
        const [{ code, text }, answer] = await Promise.all([run(program, argv), run(program, [...argv, '--json'])]);
        const { json } = program.commands[words[0] ?? ''] as Command;
        assert.equal(answer.code, code, answer.text);
        assert.deepEqual(
          mismatches(json ?? 'any', JSON.parse(answer.text)),
          [],
          `${situation}: ${words.join(' ')} --json`,
        );
        return `$ ${program.name} ${words.join(' ')}\n${text}(exit code ${code})\n`;
      }),
    );
    if (happened !== undefined) said.push(`$ synapse events\n${await eventLines(happened)}`);
    assertGolden(`commands/${situation}.txt`, masked(said.join('\n'), names));
  }

  /** The events after number `since` whose line matches `shown`; other events may come at any time. */
  async function eventLines({ since, shown }: { readonly since: number; readonly shown: RegExp }): Promise<string> {
    const argv = ['events', '-c', synapseFile];
    const { text: lines } = await run(synapseProgram, [...argv, '--json']);
    const all = lines
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const { json } = synapseProgram.commands.events as Command;
    for (const event of all) assert.deepEqual(mismatches(json ?? 'any', event), []);
    const count = all.filter(({ seq }) => seq > since).length;
    const { text } = await run(synapseProgram, [...argv, '-n', String(count)]);
    const chosen = text.split('\n').filter((line) => shown.test(line));
    // The reason depends on the call that noticed the outage first.
    const reasons = /(?<=HAProxy lost: \S+ {2}|(?:ETCD|http:\S+) )[^,\n]+/;
    return chosen.map((line) => `${line.replace(reasons, 'REASON')}\n`).join('');
  }
  async function lastEvent(): Promise<number> {
    const { text } = await run(synapseProgram, ['events', '-c', synapseFile, '--json', '-n', '1']);
    return JSON.parse(text).seq;
  }

  it('show a healthy stack', () => matches('well'));

  it('show only one service when it is named', async () => {
    const { text } = await run(synapseProgram, ['status', 'api', '--json', '-c', synapseFile]);
    const { services, servers } = JSON.parse(text);
    assert.deepEqual([Object.keys(services), Object.keys(servers)], [['api'], ['api']]);
    assert.equal((await run(synapseProgram, ['events', 'api', '-c', synapseFile])).code, 0);
  });

  for (const words of [
    ['status', 'apy'],
    ['events', 'apy'],
    ['explain', 'apy'],
  ]) {
    it(`name the services when there is no such one: ${words.join(' ')}`, async () => {
      const { code, text } = await run(synapseProgram, [...words, '-c', synapseFile]);
      assert.equal(code, 1, text);
      assert.match(text, /no service apy; there are api, web\n$/);
    });
  }

  it('show a record that cannot be used', async () => {
    const since = await lastEvent();
    const key = '/nerve/services/api/bad';
    await put(client, key, '{"host": "10.0.0.256", "port": 80}');
    await says(/skipped/, 'status');
    await matches('rejected-record', [['explain', 'api', 'bad']], { since, shown: /record skipped/ });
    await remove(client, key);
    await well();
  });

  it('show that a fallback is in use', async () => {
    const since = await lastEvent();
    await remove(client, webKey);
    await says(/fallback \(static\).*\n(.*\n)*$/, 'status');
    await says(/UP, L4OK +fallback/, 'status');
    await matches('fallback', [['explain', 'web']], { since, shown: /source switched/ });
    await announceWeb();
    await well();
  });

  it('show the suspects when most leases expire at once', async () => {
    const since = await lastEvent();
    // A single lease is one host, whatever it carries: a wave takes two.
    const { ID } = await client.call((rpc) => rpc.lease.leaseGrant({ TTL: 600, ID: 0 }));
    const value = Buffer.from(JSON.stringify({ host: '127.0.0.1', port: sparePort, name: 'i-2' }));
    await client.call((rpc) => rpc.kv.put({ key: Buffer.from(spareKey), value, lease: ID }));
    await nerve.end('SIGKILL');
    await says(/held|suspect/, 'explain', 'api');
    await client.call((rpc) => rpc.lease.leaseRevoke({ ID }));
    await says(/Expiry guard in force/, 'status');
    // Commands that do not ask synapse read the suspects from the state file.
    await until(async () => (await readFile(join(haproxy.folder, 'state.json'), 'utf8')).includes('suspects'));
    await matches('guard', [], { since, shown: /guard/ });
    // Deleted while it is under no lease: withdrawn.
    await put(client, spareKey, value);
    await remove(client, spareKey);
    await startNerve();
    await well();
  });

  it('show that HAProxy is down', async () => {
    const since = await lastEvent();
    await haproxy.kill();
    await says(/HAProxy does not answer.*connection refused/, 'status');
    await matches('haproxy-down', [], { since, shown: /HAProxy lost/ });
    await haproxy.start();
    await well();
  });

  it('read everything themselves while synapse is down', async () => {
    await synapse.end();
    await matches('synapse-down');
    synapse = await startDaemon('synapse', synapseFile);
    await well();
  });

  it('show the last known instances while etcd is down, even without synapse', async () => {
    const since = await lastEvent();
    await cluster.members[0]?.kill();
    const patience = ['--wait', '0.5'];
    await says(/may be out of date: \S+ (watch|range): connection refused/, 'status');
    await says(/may be out of date: \S+ (watch|range): connection refused/, 'explain', 'api', ...patience);
    await until(async () => /not held/.test((await run(nerveProgram, ['status', '-c', nerveFile])).text));
    await matches('etcd-down', [], { since, shown: /out of date/ });
    await synapse.end();
    await matches('etcd-and-synapse-down');
    await rm(join(haproxy.folder, 'state.json'));
    const { code, text } = await run(synapseProgram, ['services', '-c', synapseFile, ...patience]);
    assert.deepEqual(
      [code, text.replace(/http:\S+/, 'ETCD')],
      [1, 'synapse: etcd did not answer within 500 ms: ETCD range: connection refused\n'],
    );
  });
});

function byText(a: number, b: number): number {
  return String(a) < String(b) ? -1 : 1;
}
