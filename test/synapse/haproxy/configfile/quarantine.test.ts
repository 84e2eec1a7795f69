import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { silentLog } from '../../../../common/daemon/log.ts';
import { registry } from '../../../../common/daemon/metrics.ts';
import { freePort } from '../../../../etcd-cluster/members/ports.ts';
import { Quarantine } from '../../../../synapse/haproxy/configfile/quarantine.ts';
import { eventually } from '../../../support/eventually.ts';
import { type NamedServer, namedServer } from '../../../support/haproxy/haproxy.ts';
import { instance, serviceConfig, type TestService } from '../../../support/haproxy/haproxy-output.ts';
import {
  answerOn,
  type HaproxyInStep,
  runningHaproxy,
  type SynapseOptions,
} from '../../../support/haproxy/running-haproxy.ts';
import { type HaproxyVersion, haproxyVersions } from '../../../support/haproxy/versions.ts';
import { recordingLog } from '../../../support/process/recording-log.ts';

describe('the quarantine', () => {
  const one = { fingerprint: 'one', instances: [] };
  const a = { service: 'a' };
  const open = () => {
    const clock = { now: 0 };
    return { clock, quarantine: new Quarantine(silentLog, () => clock.now) };
  };

  it('counts its services, and says why each is there', async () => {
    const { quarantine } = open();
    assert.equal(quarantine.add(a, one, { message: 'bad', by: 'check' }), true);
    quarantine.add({ service: 'a', shape: 's' }, one, { message: 'worse', by: 'check' });
    quarantine.add({ service: 'b' }, one, { message: 'bad', by: 'load' });
    assert.match(await registry.metrics(), /synapse_haproxy_quarantined_services 2\n/);
    assert.match(quarantine.reasons.b ?? '', /cannot load its new options: bad/);
    assert.equal(quarantine.refuses('s'), true);
    assert.equal(quarantine.refuses('t'), false);
    quarantine.release(() => undefined);
    assert.equal(quarantine.isEmpty, true);
    assert.match(await registry.metrics(), /synapse_haproxy_quarantined_services 0\n/);
  });

  it('lets out a service when its options or instances change, and takes it back when it is refused again', () => {
    const { quarantine } = open();
    quarantine.add(a, one, { message: 'bad', by: 'check' });
    assert.equal(
      quarantine.release(() => one),
      false,
    );
    assert.equal(quarantine.holds('a'), true);
    const other = { ...one, instances: [] };
    assert.equal(
      quarantine.release(() => other),
      true,
    );
    assert.equal(quarantine.holds('a'), false);
    assert.equal(quarantine.add(a, other, { message: 'bad', by: 'check' }), false);
    assert.equal(quarantine.holds('a'), true);
    assert.equal(
      quarantine.release(() => ({ ...one, fingerprint: 'two' })),
      true,
    );
    assert.equal(quarantine.isEmpty, true);
  });

  it('tries services whose retry costs a reload one at a time, and after growing delays', () => {
    const { clock, quarantine } = open();
    const b = { service: 'b' };
    quarantine.add(a, one, { message: 'bad', by: 'load' });
    quarantine.add(b, one, { message: 'bad', by: 'load' });
    clock.now = 4_999;
    assert.equal(
      quarantine.release(() => one),
      false,
    );
    clock.now = 5_000;
    assert.equal(
      quarantine.release(() => one),
      true,
    );
    assert.deepEqual([quarantine.holds('a'), quarantine.holds('b')], [false, true]);
    quarantine.add(a, one, { message: 'bad', by: 'load' });
    assert.equal(
      quarantine.release(() => one),
      true,
    );
    assert.deepEqual([quarantine.holds('a'), quarantine.holds('b')], [true, false]);
    // That it passes the check again says nothing.
    quarantine.passed('check');
    assert.ok(quarantine.reasons.b);
    quarantine.passed('load');
    assert.deepEqual(Object.keys(quarantine.reasons), ['a']);
    clock.now = 14_999;
    assert.equal(
      quarantine.release(() => one),
      false,
    );
    clock.now = 15_000;
    assert.equal(
      quarantine.release(() => one),
      true,
    );
  });
});

describe('parts that HAProxy refuses are quarantined', { concurrency: 2 }, () => {
  for (const version of haproxyVersions) describe(`HAProxy ${version}`, { concurrency: 1 }, () => onHaproxy(version));
});

function onHaproxy(version: HaproxyVersion): void {
  let running: HaproxyInStep;
  let server: NamedServer;
  let ports: number[];
  before(async () => {
    server = await namedServer('hello');
  });
  after(() => server.close());
  beforeEach(async () => {
    ports = [await freePort(), await freePort(), await freePort(), await freePort()];
  });

  /** 3.3 and newer want frontends and backends to have different names. */
  const service = (
    name: string,
    index: number,
    more: Record<string, unknown> = {},
    instances = [instance(server.port)],
  ) =>
    ({ config: serviceConfig({ port: ports[index], backend_name: `${name}.b`, ...more }), instances }) as TestService;
  const text = () => readFile(running.haproxy.file, 'utf8');
  const answer = (index: number): Promise<string> => answerOn(ports[index]);
  /** HAProxy runs what synapse wrote for these services. */
  const inStep = async (t: TestContext, services: Record<string, TestService>, options: SynapseOptions = {}) => {
    running = await runningHaproxy(t, { version, services, ...options });
  };
  const quarantined = () => running.synapse.output.status.quarantined;

  it('two refused services of four are found by the lines that HAProxy names; the others go live at once, and the refused ones when they are corrected', async (t) => {
    const { log, lines } = recordingLog();
    const good = { a: service('a', 0) };
    await inStep(t, good, { log });
    const changed = {
      a: service('a', 0, { listen: ['no-such-directive'] }),
      b: service('b', 1),
      c: service('c', 2, { backend: ['balance nonsense'] }),
      d: service('d', 3),
    };
    await running.synapse.apply(changed);
    await eventually(async () => assert.equal(await answer(3), 'hello'));
    assert.equal(await answer(1), 'hello');
    // Its last good rendering.
    assert.equal(await answer(0), 'hello');
    assert.deepEqual(Object.keys(quarantined()).sort(), ['a', 'c']);
    assert.match(quarantined().a ?? '', /no-such-directive/);
    assert.match(quarantined().c ?? '', /balance/);
    assert.match(running.synapse.output.status.problems.a ?? '', /no-such-directive/);
    assert.equal(running.synapse.output.status.rejected, null);
    assert.equal(running.synapse.output.status.generation, running.synapse.output.status.wantedGeneration);
    assert.doesNotMatch(await text(), /no-such|nonsense/);
    assert.match(await text(), /backend a\.b/);
    assert.equal(lines.filter(({ message }) => message.startsWith('a service was quarantined')).length, 2);
    // Membership goes on in the last good rendering.
    await running.synapse.apply({ ...changed, a: { ...changed.a, instances: [] } as TestService });
    await eventually(async () => assert.equal(await answer(0), '503'));
    await running.synapse.apply({ a: service('a', 0, { listen: ['option httplog'] }), b: changed.b, d: changed.d });
    await eventually(() => assert.deepEqual(quarantined(), {}));
    await eventually(async () => assert.match(await text(), /option httplog/));
    await eventually(() => assert.deepEqual(running.synapse.output.status.pendingReload, []));
    assert.equal(await answer(0), 'hello');
  });

  it('a refused service is found by halving when HAProxy names no line', async (t) => {
    await inStep(t, { a: service('a', 0) });
    await running.synapse.apply({
      a: service('a', 0),
      b: service('b', 1, { frontend: ['use_backend nowhere'] }),
      c: service('c', 2),
      d: service('d', 3),
    });
    await eventually(async () => assert.equal(await answer(3), 'hello'));
    assert.equal(await answer(2), 'hello');
    assert.deepEqual(Object.keys(quarantined()), ['b']);
    assert.match(quarantined().b ?? '', /nowhere/);
  });

  it('servers with refused options stay out of the file until their options change, and other servers of the service do not', async (t) => {
    await inStep(t, { a: service('a', 0) }, { top: { trust_server_options: ['*'] } });
    const bad = instance(server.port, { name: 'bad', serverOptions: 'no-such-option' });
    const other = instance(server.port, { name: 'other', serverOptions: 'maxconn 5' });
    await running.synapse.apply({ a: service('a', 0, {}, [instance(server.port), bad, other]) });
    await eventually(async () => assert.match(await text(), /server other/));
    assert.doesNotMatch(await text(), /no-such-option/);
    assert.match(quarantined().a ?? '', /no-such-option/);
    await running.synapse.apply({ a: service('a', 0, {}, [instance(server.port), other]) });
    await eventually(() => assert.deepEqual(quarantined(), {}));
  });

  it('a service that is refused after a restart of synapse keeps the lines of the file', async (t) => {
    await inStep(t, { a: service('a', 0), b: service('b', 1) });
    await running.restart();
    await running.synapse.apply({
      a: service('a', 0, { listen: ['no-such-directive'] }),
      b: service('b', 1, { backend: ['balance leastconn'] }),
    });
    await eventually(async () => assert.match(await text(), /balance leastconn/));
    await eventually(() => assert.deepEqual(running.synapse.output.status.pendingReload, []));
    assert.deepEqual(Object.keys(quarantined()), ['a']);
    assert.match(await text(), /frontend a(\.in)?\n\tbind .*\n\tdefault_backend a\.b\n\nbackend a\.b\n\tserver i/);
    assert.equal(await answer(0), 'hello');
    assert.equal(await answer(1), 'hello');
    await running.synapse.apply({ a: service('a', 0), b: service('b', 1, { backend: ['balance leastconn'] }) });
    await eventually(() => assert.deepEqual(quarantined(), {}));
  });
}
