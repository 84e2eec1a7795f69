import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import type { StateReport } from '../../synapse/report/status-shape.ts';
import { startDaemon, type TestDaemon } from '../support/daemons/daemon.ts';
import { put } from '../support/etcd/etcd.ts';
import { withCluster } from '../support/etcd/with-cluster.ts';
import {
  haproxySection,
  type NamedServer,
  namedServer,
  type TestHaproxy,
  testHaproxy,
} from '../support/haproxy/haproxy.ts';
import { until } from '../support/until.ts';

/** The tests follow each other: each starts where the previous one ended. */
describe('a configuration published in etcd', () => {
  const key = '/smartstack/config/api';
  const etcd = withCluster('3.5');
  let haproxy: TestHaproxy;
  let synapse: TestDaemon;
  let server: NamedServer;
  let port: number;
  let config: string;

  before(async () => {
    haproxy = await testHaproxy();
    server = await namedServer('one');
    port = await freePort();
    config = join(haproxy.folder, 'synapse.json');
    const options = {
      etcd: { hosts: etcd.cluster.urls },
      admin: { listen: '127.0.0.1:0' },
      state_file_path: join(haproxy.folder, 'state.json'),
      initial_wait: '1s',
      services: {
        api: {
          discovery: { method: 'etcd', generator_config_path: key },
          haproxy: { port, listen: ['mode http', 'timeout server 10s'] },
        },
      },
      haproxy: haproxySection(haproxy, { restart_interval: '100ms' }),
    };
    await writeFile(config, JSON.stringify(options));
    await put(
      etcd.client,
      `/nerve/services/api/one_127.0.0.1:${server.port}`,
      JSON.stringify({ host: '127.0.0.1', port: server.port, name: 'one' }),
    );
    synapse = await startDaemon('synapse', config);
    await until(async () => (await readFile(haproxy.file, 'utf8').catch(() => '')).includes(`:${server.port} `));
    await haproxy.start();
    await serving();
  });
  after(async () => {
    await synapse?.end('SIGKILL');
    await haproxy.close();
    await server.close();
  });

  const serving = () =>
    until(async () => {
      const response = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5_000) });
      return (await response.text()) === 'one';
    });
  const publish = (value: unknown) => put(etcd.client, key, typeof value === 'string' ? value : JSON.stringify(value));
  const text = () => readFile(haproxy.file, 'utf8');
  const fileHas = (line: string) => until(async () => (await text()).includes(line));
  const api = async () => (JSON.parse((await synapse.get('/api/v1/state')).body) as StateReport).services.api;

  it('is put on top of the local one, key by key, and its changes are followed', async () => {
    await publish({ haproxy: { listen: ['mode http', 'timeout server 21s'] } });
    await fileHas('timeout server 21s');
    await publish({ haproxy: { listen: ['mode http', 'timeout server 22s'] }, other_generator: { any: 'thing' } });
    await fileHas('timeout server 22s');
    await serving();
    assert.equal((await api())?.published?.refused, null);
  });

  const bad: readonly (readonly [string, unknown, RegExp])[] = [
    ['no JSON', '{', /not JSON/],
    ['another port to listen on', { haproxy: { port: 3214 } }, /port.*may not be published/],
    ['another address to listen on', { haproxy: { bind_address: '0.0.0.0' } }, /bind_address.*may not be published/],
    [
      "a check of HAProxy's admin socket that sends a command",
      {
        haproxy: {
          backend: [
            'option tcp-check',
            'tcp-check connect addr unix@ADMIN_SOCKET',
            `tcp-check send-binary ${Buffer.from('disable server api/one\n').toString('hex')}`,
          ],
          server_options: 'check inter 1s',
        },
      },
      /tcp-check connect addr .* may not be published/,
    ],
    ['a check of another port', { haproxy: { server_options: 'check port 22' } }, /"port 22" may not be published/],
    ['lines that run a program', { haproxy: { backend: ['external-check command /bin/sh'] } }, /may not be published/],
    ['a second section', { haproxy: { listen: ['mode http\nbackend evil'] } }, /may not be published|one line|control/],
  ];
  for (const [what, value, reason] of bad) {
    it(`is refused with the reason when it has ${what}, and the previous one stays`, async () => {
      await publish(JSON.parse(JSON.stringify(value).replace('ADMIN_SOCKET', haproxy.socket)));
      await until(async () => {
        assert.match((await api())?.published?.refused ?? '', reason);
        return true;
      });
      assert.match(await text(), /timeout server 22s/);
      await serving();
    });
  }

  it('leaves the previous one in force over a restart of synapse when it is broken', async () => {
    await until(async () => (await readFile(join(haproxy.folder, 'state.json'), 'utf8')).includes('22s'));
    await publish('{');
    await until(async () => ((await api())?.published?.refused ?? '') !== '');
    await synapse.end('SIGTERM');
    synapse = await startDaemon('synapse', config);
    await until(async () => (await synapse.get('/readyz')).status === 200);
    assert.match((await api())?.published?.refused ?? '', /not JSON/);
    assert.match(await text(), /timeout server 22s/);
    await serving();
  });

  it('is in force after a restart of synapse while etcd is down', async () => {
    await publish({ haproxy: { listen: ['mode http', 'timeout server 23s'] } });
    await fileHas('timeout server 23s');
    await until(async () => (await readFile(join(haproxy.folder, 'state.json'), 'utf8')).includes('23s'));
    await synapse.end('SIGTERM');
    await etcd.cluster.stopAll();
    const before = await text();
    const worker = await haproxy.workerPid();
    synapse = await startDaemon('synapse', config);
    await until(async () => (await synapse.get('/readyz')).status === 200);
    await serving();
    assert.equal(await text(), before);
    assert.equal(await haproxy.workerPid(), worker);
  });
});
