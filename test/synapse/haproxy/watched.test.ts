import assert from 'node:assert/strict';
import { type FSWatcher, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { sleep } from '../../../common/async/sleep.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { eventually } from '../../support/eventually.ts';
import { askSocket, namedServer, type TestHaproxy, testHaproxy } from '../../support/haproxy/haproxy.ts';
import {
  instance,
  type RunningOutput,
  runOutput,
  serviceConfig,
  testConfig,
} from '../../support/haproxy/haproxy-output.ts';

/** A program in another container that reloads HAProxy when the file is replaced, as Clay.io's does. */
interface Watcher {
  /** Every name that came or went in the folder. */
  readonly seen: readonly string[];
  /** How many replacements to miss from now on. */
  miss(count: number): void;
  readonly reloads: number;
  close(): void;
}

function watchFile(haproxy: TestHaproxy): Watcher {
  const seen: string[] = [];
  let missing = 0;
  let reloads = 0;
  let busy = false;
  const watcher: FSWatcher = watch(dirname(haproxy.file), (_, name) => {
    seen.push(String(name));
    if (name !== 'haproxy.cfg' || busy) return;
    // Between two runs of inotifywait, nothing is seen.
    busy = true;
    setTimeout(() => {
      busy = false;
    }, 100);
    if (missing-- > 0) return;
    reloads += 1;
    void askSocket(haproxy.master, 'reload').catch(() => {});
  });
  return {
    seen,
    miss: (count) => {
      missing = count;
    },
    get reloads() {
      return reloads;
    },
    close: () => watcher.close(),
  };
}

describe('a HAProxy in another container that is reloaded by a program that watches the file', () => {
  let haproxy: TestHaproxy;
  let synapse: RunningOutput;
  let watcher: Watcher | undefined;
  beforeEach(async () => {
    haproxy = await testHaproxy();
  });
  afterEach(async () => {
    watcher?.close();
    await synapse?.stop();
    await haproxy.close();
  });
  const text = () => readFile(haproxy.file, 'utf8');
  const start = async () => {
    await eventually(async () => assert.match(await text(), /backend/));
    await haproxy.start();
    watcher = watchFile(haproxy);
    return watcher;
  };

  it('gets servers over the socket at once, a new service by one write, and a second write when the first was missed', async (t) => {
    const server = await namedServer('hello');
    t.after(() => server.close());
    const port = await freePort();
    const second = await freePort();
    const answer = async (at: number) =>
      await (await fetch(`http://127.0.0.1:${at}/`, { headers: { connection: 'close' } })).text();
    synapse = runOutput(testConfig(haproxy, { master_socket_path: null, watched: true }));
    const api = serviceConfig({ port, backend_name: 'api.b' });
    await synapse.apply({ api: { config: api, instances: [] } });
    const { seen } = await start();
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    const before = await text();
    const services = { api: { config: api, instances: [instance(server.port)] } };
    await synapse.apply(services);
    assert.equal(await answer(port), 'hello');
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    assert.equal(await text(), before);
    watcher?.miss(1);
    const web = { config: serviceConfig({ port: second, backend_name: 'web.b' }), instances: [instance(server.port)] };
    await synapse.apply({ ...services, web });
    await eventually(() => assert.equal(synapse.reloads(), 1));
    assert.equal(await answer(second), 'hello');
    assert.equal(watcher?.reloads, 1);
    // Only the file itself may come and go in a folder that is watched.
    assert.deepEqual(
      [...new Set(seen)].filter((name) => name !== 'haproxy.cfg' && name !== '.synapse'),
      [],
    );
  });

  it('is reloaded three times, and then waits, when a record asks for other server options again and again', async (t) => {
    const server = await namedServer('hello');
    t.after(() => server.close());
    const config = serviceConfig({ port: await freePort(), backend_name: 'api.b', server_options: 'check inter 2s' });
    const options = { master_socket_path: null, watched: true, service_reload_interval: '20s' };
    synapse = runOutput(testConfig(haproxy, options));
    const asking = (rise: number) =>
      synapse.apply({ api: { config, instances: [{ ...instance(server.port), serverOptions: `rise ${rise}` }] } });
    await asking(2);
    await start();
    await eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
    let rise = 3;
    for (; synapse.reloads() < 3; rise += 1) {
      await asking(rise);
      await sleep(100);
    }
    await asking(rise);
    await eventually(() => assert.deepEqual(Object.keys(synapse.output.status.waitingReload), ['api']));
    for (const end = rise + 20; rise < end; rise += 1) {
      await asking(rise);
      await sleep(50);
    }
    assert.deepEqual(Object.keys(synapse.output.status.waitingReload), ['api']);
    assert.ok((watcher?.reloads ?? 0) <= 4, `${watcher?.reloads} reloads`);
  });

  it('gets every change by the file when there is no socket, and misses none', async (t) => {
    const server = await namedServer('hello');
    t.after(() => server.close());
    const port = await freePort();
    // Clay.io's own settings.
    synapse = runOutput(
      testConfig(haproxy, {
        do_socket: false,
        master_socket_path: null,
        socket_file_path: null,
        reload_command: 'echo noop',
      }),
    );
    const api = serviceConfig({ port, backend_name: 'api.b' });
    await synapse.apply({ api: { config: api, instances: [] } });
    await start();
    for (let round = 0; round < 5; round++) {
      await synapse.apply({ api: { config: api, instances: [instance(server.port, { weight: 10 + round })] } });
    }
    await eventually(async () => assert.match(await text(), /weight 14/));
    await eventually(async () => {
      const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
      assert.equal(await response.text(), 'hello');
    });
    assert.ok((watcher?.reloads ?? 0) <= 3, `${watcher?.reloads} reloads`);
  });

  it('is reloaded for other services and no more for one that changes all the time, when there is no socket', async (t) => {
    const server = await namedServer('hello');
    t.after(() => server.close());
    // 20 reloads at once, and one in a day.
    const options = { do_socket: false, master_socket_path: null, socket_file_path: null, reload_command: 'echo noop' };
    synapse = runOutput(testConfig(haproxy, { ...options, service_reload_interval: '3d' }));
    const config = serviceConfig({ port: await freePort(), backend_name: 'api.b' });
    const web = serviceConfig({ port: await freePort(), backend_name: 'web.b' });
    let weight = 0;
    const [first, second] = [[instance(server.port)], [instance(server.port, { weight: 77 })]];
    const applyBoth = (other = first) => {
      weight = (weight % 200) + 1;
      return synapse.apply({
        api: { config, instances: [instance(server.port, { weight })] },
        web: { config: web, instances: other },
      });
    };
    await applyBoth();
    await start();
    const waiting = () => Object.keys(synapse.output.status.waitingReload);
    while (waiting().length === 0) {
      await applyBoth();
      await sleep(50);
    }
    assert.deepEqual(waiting(), ['api']);
    assert.ok((watcher?.reloads ?? 0) <= 21, `${watcher?.reloads} reloads`);
    const stays = await text();
    const before = watcher?.reloads ?? 0;
    for (let count = 0; count < 60; count += 1) {
      await applyBoth();
      await sleep(50);
    }
    assert.equal(await text(), stays);
    assert.equal(watcher?.reloads, before);
    await applyBoth(second);
    await eventually(async () => assert.match(await text(), /weight 77/));
    assert.match(await text(), new RegExp(`weight ${weight}\\b`), 'what waited goes along');
  });
});
