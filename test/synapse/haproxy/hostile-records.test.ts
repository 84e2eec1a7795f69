import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it, type TestContext } from 'node:test';
import { sleep } from '../../../common/async/sleep.ts';
import type { Instance } from '../../../common/instance.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { eventually } from '../../support/eventually.ts';
import { serviceConfig, type TestService } from '../../support/haproxy/haproxy-output.ts';
import { answerOn, type HaproxyInStep, runningHaproxy, webInstance } from '../../support/haproxy/running-haproxy.ts';
import { type HaproxyVersion, haproxyVersions } from '../../support/haproxy/versions.ts';
import { recordingLog } from '../../support/process/recording-log.ts';

describe('records that ask for too much', { concurrency: haproxyVersions.length }, () => {
  for (const version of haproxyVersions) describe(`HAProxy ${version}`, { concurrency: 1 }, () => onHaproxy(version));
});

function onHaproxy(version: HaproxyVersion): void {
  const inStep = async (
    t: TestContext,
    { top = {}, service = {} }: { readonly top?: Record<string, unknown>; readonly service?: Record<string, unknown> },
  ) => {
    const { log, lines } = recordingLog();
    const [one, two] = [await webInstance(t, 'one'), await webInstance(t, 'two')];
    const port = await freePort();
    const config = serviceConfig({ port, server_options: 'check inter 2s', ...service });
    const services = { api: { config, instances: [one] } };
    const running = await runningHaproxy(t, { version, top, log, services });
    const apply = (instances: readonly Instance[], others: Record<string, TestService> = {}) =>
      running.synapse.apply({ api: { config, instances }, ...others });
    const warnings = () => lines.filter(({ level }) => level === 'warn' || level === 'error');
    return { running, apply, one, two, port, warnings };
  };
  const asking = (instance: Instance, serverOptions: string): Instance => ({ ...instance, serverOptions });
  const inFile = async ({ haproxy }: HaproxyInStep, pattern: RegExp) =>
    eventually(async () => assert.match(await readFile(haproxy.file, 'utf8'), pattern));

  it('get no number that another server has', async (t) => {
    const { running, apply, one, two, port, warnings } = await inStep(t, {});
    const numbers = async () => {
      const rows = await running.haproxy.servers();
      return [one, two].map(({ id }) => rows.get(`api/${id}`)?.srv_id);
    };
    await apply([one, asking(two, 'id 1')]);
    await eventually(async () => assert.deepEqual(await numbers(), ['1', '2']));
    await apply([one, asking(two, 'id 1 id 700099')]);
    await apply([one]);
    await apply([one, asking(two, 'id 700100')]);
    await inFile(running, new RegExp(`server ${two.id} \\S+ id `));
    await eventually(async () => assert.equal(await answerOn(port), 'two'));
    assert.equal(running.synapse.reloads(), 0);
    assert.deepEqual(
      warnings().filter(({ message }) => /refused/.test(message)),
      [],
    );
  });

  it('cause three reloads and then wait, while changes of the configuration and other services do not', async (t) => {
    const { running, apply, one, port, warnings } = await inStep(t, { top: { service_reload_interval: '5s' } });
    const { synapse } = running;
    let rise = 2;
    for (; synapse.reloads() < 3; rise += 1) {
      await apply([asking(one, `rise ${rise}`)]);
      await sleep(100);
    }
    for (const end = rise + 8; rise < end; rise += 1) {
      await apply([asking(one, `rise ${rise}`)]);
      await sleep(50);
    }
    await eventually(() => assert.deepEqual(Object.keys(synapse.output.status.waitingReload), ['api']));
    const before = synapse.reloads();
    assert.ok(before <= 4, `${before} reloads`);
    const web = { config: serviceConfig({ port: await freePort() }), instances: [one] };
    await apply([asking(one, `rise ${rise}`)], { web });
    // The change of the configuration takes along what waits.
    await eventually(() => assert.equal(synapse.reloads(), before + 1));
    await eventually(() => assert.deepEqual(synapse.output.status.pendingReload, []));
    assert.deepEqual(synapse.output.status.waitingReload, {});
    // In the end each change reaches HAProxy.
    await apply([asking(one, 'rise 900')], { web });
    await eventually(() => assert.equal(synapse.reloads(), before + 2));
    await inFile(running, /rise 900/);
    assert.equal(await answerOn(port), 'one');
    assert.ok(warnings().length <= 10, JSON.stringify(warnings()));
  });

  it('cause no reload with options that the check refuses', async (t) => {
    const top = { trust_server_options: ['*'], service_reload_interval: 0 };
    const { running, apply, one, two, port } = await inStep(t, { top });
    for (const word of ['no-such-a', 'no-such-b', 'no-such-c']) {
      await apply([asking(one, word), two]);
      await eventually(() => assert.match(running.synapse.output.status.quarantined.api ?? '', new RegExp(word)));
      await sleep(300);
    }
    assert.equal(running.synapse.reloads(), 0);
    assert.deepEqual(running.synapse.output.status.pendingReload, []);
    // HAProxy 3.4 chooses at random where a service has no `balance` line.
    const answers = new Set<string>();
    await eventually(async () => {
      answers.add(await answerOn(port));
      assert.deepEqual([...answers].sort(), ['one', 'two']);
    });
  });

  it('do not keep synapse busy where HAProxy refuses every command', async (t) => {
    const { running, apply, one, warnings } = await inStep(t, {
      top: { service_reload_interval: 0 },
      service: { backend: ['disabled'] },
    });
    const { synapse } = running;
    await apply([{ ...one, weight: 7 }]);
    // The file brings the weight with the reload.
    await eventually(async () => {
      const row = (await running.haproxy.servers()).get(`api/${one.id}`);
      assert.deepEqual([row?.srv_uweight, synapse.output.status.pendingReload], ['7', []]);
    });
    assert.ok(synapse.reloads() <= 2, `${synapse.reloads()} reloads`);
    assert.ok(warnings().length <= 10, JSON.stringify(warnings()));
  });
}
