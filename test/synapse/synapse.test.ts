import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { registry } from '../../common/daemon/metrics.ts';
import { createEtcdClient } from '../../common/etcd/client/client.ts';
import { thisHost } from '../../common/host.ts';
import { type Instance, makeInstance } from '../../common/instance.ts';
import type { Policy } from '../../synapse/catalog/select.ts';
import type { SynapseConfig } from '../../synapse/config/config.ts';
import type { ServiceConfig } from '../../synapse/config/service-config.ts';
import type { RunningHaproxy } from '../../synapse/haproxy/haproxy.ts';
import type { HaproxyConfig } from '../../synapse/haproxy/options/config.ts';
import type { HaproxyStatus } from '../../synapse/haproxy/status.ts';
import type { Snapshot } from '../../synapse/output.ts';
import type { Publish, Source, SourceContext } from '../../synapse/source.ts';
import { Synapse } from '../../synapse/synapse.ts';
import { plainPolicy } from '../support/daemons/instance-sets.ts';
import { haproxyConfig, serviceConfig } from '../support/haproxy/haproxy-output.ts';
import { recordingLog } from '../support/process/recording-log.ts';
import { until } from '../support/until.ts';

const one = makeInstance({ host: '10.0.0.1', port: 1 });
const two = makeInstance({ host: '10.0.0.2', port: 2 });

/** A source that the test controls. */
interface ControlledSource {
  readonly context: SourceContext;
  /** Each run, with what the test can make it do. */
  readonly runs: { readonly publish: Publish; readonly fail: (reason: string) => void; readonly signal: AbortSignal }[];
}

/** A `haproxy` section with a name of its own. */
function output(name: string): HaproxyConfig {
  return haproxyConfig({ do_writes: false, do_reloads: false, do_socket: false, config_file_path: `/${name}` });
}

function nameOf({ config_file_path: path }: HaproxyConfig): string {
  return path?.slice(1) ?? '';
}

const status: HaproxyStatus = {
  generation: null,
  wantedGeneration: '',
  rejected: null,
  quarantined: {},
  pendingReload: [],
  oldWorkers: null,
  lastError: null,
  writeError: null,
  fileWrittenAt: null,
  lastReloadAt: null,
  sockets: [],
  held: [],
  waitingReload: {},
  dropped: [],
  stuck: [],
  problems: {},
};

interface Applied {
  readonly output: string;
  readonly dirty: readonly string[];
  readonly instances: Readonly<Record<string, readonly string[] | null>>;
}

describe('synapse', () => {
  const cleanups: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  function world() {
    const sources = new Map<string, ControlledSource[]>();
    const applied: Applied[] = [];
    const ended: string[] = [];
    const { log, lines } = recordingLog();
    /** What `apply` does before it resolves. */
    const effects = { apply: async (_: Applied): Promise<void> => {} };

    const service = (name: string, options: { policy?: Partial<Policy>; line?: string; version?: number } = {}) => {
      const { policy, line = 'mode http', version = 1 } = options;
      const create = (context: SourceContext): Source => {
        const source: ControlledSource = { context, runs: [] };
        sources.set(name, [...(sources.get(name) ?? []), source]);
        return (publish, signal) =>
          new Promise((resolve, reject) => {
            source.runs.push({ publish, fail: (reason) => reject(new Error(reason)), signal });
            signal.addEventListener('abort', () => resolve(), { once: true });
          });
      };
      const value: ServiceConfig = {
        policy: { ...plainPolicy, ...policy },
        config: serviceConfig({ listen: [line] }),
        discovery: { method: 'controlled', options: { version }, create },
      };
      return [name, value] as const;
    };
    const configOf = (
      services: (readonly [string, ServiceConfig])[],
      more: Partial<SynapseConfig> = {},
    ): SynapseConfig => ({
      etcd: { hosts: ['http://127.0.0.1:1'] },
      haproxy: output('first'),
      dns: { nameserver: [], timeout: 3_000, prefer: 'ipv4' },
      services: new Map(services),
      admin: { listen: false, hosts: [], control_socket: null, control_socket_mode: 0o600 },
      stateFile: undefined,
      initialWaitMs: 10_000,
      ...more,
    });
    const createHaproxy = (config: HaproxyConfig): RunningHaproxy => ({
      status,
      reason: null,
      health: () => undefined,
      statistics: () => Promise.reject(new Error('no HAProxy runs')),
      sent: () => [],
      find: () => undefined,
      fileWritten: async () => {},
      prove: () => Promise.reject(new Error('no HAProxy runs')),
      unapplied: async () => 'no HAProxy runs',
      listen: () => {},
      closeDrained: () => {},
      stickyDrainMs: 0,
      async apply(snapshot: Snapshot, dirty) {
        const instances = Object.fromEntries(
          [...snapshot].map(([key, state]) => [key, state.instances?.map(({ id }) => id) ?? null]),
        );
        const entry = { output: nameOf(config), dirty: [...dirty].sort(), instances };
        await effects.apply(entry);
        applied.push(entry);
        return [];
      },
      run: (signal) =>
        new Promise((resolve) => {
          signal.addEventListener(
            'abort',
            () => {
              ended.push(nameOf(config));
              resolve();
            },
            { once: true },
          );
        }),
    });
    const start = (config: SynapseConfig): { synapse: Synapse; stop: () => Promise<void> } => {
      const end = new AbortController();
      const synapse = new Synapse(config, {
        log,
        createHaproxy,
        host: { ...thisHost, tryConnect: async () => 'answers' },
        openEtcd: createEtcdClient,
      });
      const done = synapse.run(end.signal);
      const stop = async (): Promise<void> => {
        end.abort();
        await done;
      };
      cleanups.push(stop);
      return { synapse, stop };
    };
    const publish = (name: string, ...instances: Instance[]): void => {
      const run = sources.get(name)?.at(-1)?.runs.at(-1);
      assert.ok(run, `the source of ${name} does not run`);
      run.publish({ instances, rejected: [], seenAt: performance.now() });
    };
    const running = (name: string) => until(() => (sources.get(name)?.at(-1)?.runs.length ?? 0) > 0);
    return { service, configOf, start, publish, running, sources, applied, ended, effects, lines };
  }

  async function stateFile(): Promise<{ readonly path: string; readonly ttlMs: number }> {
    const folder = await mkdtemp(join(tmpdir(), 'synapse-'));
    cleanups.unshift(() => rm(folder, { recursive: true }));
    return { path: join(folder, 'state.json'), ttlMs: 60_000 };
  }

  it('waits with the first apply for the first set of every service', async () => {
    const { service, configOf, start, publish, running, applied } = world();
    const { synapse } = start(configOf([service('api'), service('web')]));
    await running('web');
    publish('api', one);
    await delay(50);
    assert.deepEqual(applied, []);
    assert.equal(synapse.ready(), 'waiting for the sources of web to answer');
    publish('web');
    await until(() => applied.length > 0);
    assert.deepEqual(applied, [{ output: 'first', dirty: ['api', 'web'], instances: { api: [one.id], web: [] } }]);
    assert.equal(synapse.ready(), null);
  });

  it('starts after the initial wait; an unknown service stays unknown until its source answers', async () => {
    const { service, configOf, start, publish, running, applied, lines } = world();
    const { synapse } = start(configOf([service('api'), service('web')], { initialWaitMs: 30 }));
    await running('web');
    publish('api', one);
    await until(() => applied.length > 0);
    assert.deepEqual(applied[0]?.instances, { api: [one.id], web: null });
    assert.equal(
      synapse.ready(),
      'nothing is known about web: its source has not answered, and the state file has no entry',
    );
    assert.deepEqual(lines[0]?.fields, { waiting: ['web'], cached: [] });
    publish('web', two);
    await until(() => applied.length > 1);
    assert.deepEqual(applied[1], { output: 'first', dirty: ['web'], instances: { api: [one.id], web: [two.id] } });
    assert.equal(synapse.ready(), null);
  });

  it('applies a change within the microtasks of its event', async () => {
    const { service, configOf, start, publish, running, applied, effects } = world();
    start(configOf([service('api')]));
    await running('api');
    publish('api', one);
    await until(() => applied.length === 1);
    let called = false;
    effects.apply = async () => {
      called = true;
    };
    publish('api', two);
    // Immediates and timers come after all microtasks.
    await new Promise(process.nextTick);
    for (let i = 0; i < 10; i++) await Promise.resolve();
    assert.ok(called);
  });

  it('keeps instances that are lost together as suspects, shows them, and drops them when their time is over', async () => {
    const { service, configOf, start, publish, running, applied, lines } = world();
    const three = makeInstance({ host: '10.0.0.3', port: 3 });
    const policy = { expiryGuard: { share: 0.5, holdMs: 100, suspectMs: 600 }, usePreviousBackends: false };
    const { synapse } = start(configOf([service('api', { policy })]));
    await running('api');
    publish('api', one, two, three);
    await until(() => applied.length === 1);
    publish('api', three);
    assert.equal(synapse.state().services.api?.lost?.[one.id]?.phase, 'looking');
    await until(() => Object.keys(synapse.state().services.api?.suspects ?? {}).length === 2);
    const { lease, look, phase } = synapse.state().services.api?.lost?.[one.id] ?? {};
    assert.deepEqual([lease, look, phase], [`of ${one.host}`, 'it answers', 'suspect']);
    assert.deepEqual(
      synapse.state().services.api?.instances?.map(({ id }) => id),
      [one.id, two.id, three.id],
    );
    const metrics = await registry.metrics();
    assert.match(metrics, /^synapse_suspect_instances\{service="api"\} 2$/m);
    assert.match(metrics, /^synapse_guarded_instances_total\{service="api"\} 2$/m);
    await until(() => applied.length === 2);
    assert.deepEqual(applied[1]?.instances, { api: [three.id] });
    assert.equal(synapse.state().services.api?.suspects, undefined);
    await until(() => synapse.traces('api')[one.id]?.how === 'expired');
    assert.deepEqual(
      lines.filter(({ message }) => message.includes('suspect')).map(({ level, fields }) => [level, fields.suspects]),
      [
        ['warn', 2],
        ['info', undefined],
      ],
    );
  });

  it('drops suspects when the guard is turned off or holds for a shorter time', async () => {
    const three = makeInstance({ host: '10.0.0.3', port: 3 });
    for (const [guard, waits] of [
      [undefined, false],
      [{ share: 0.5, holdMs: 50, suspectMs: 50 }, true],
    ] as const) {
      const { service, configOf, start, publish, running, applied, lines } = world();
      const guarded = (expiryGuard: Policy['expiryGuard']) =>
        configOf([service('api', { policy: { expiryGuard, usePreviousBackends: false } })]);
      const { synapse } = start(guarded({ share: 0.5, holdMs: 600_000, suspectMs: 600_000 }));
      await running('api');
      publish('api', one, two, three);
      await until(() => applied.length === 1);
      publish('api', three);
      await until(() => Object.keys(synapse.state().services.api?.suspects ?? {}).length === 2);
      assert.equal(synapse.state().services.api?.instances?.length, 3);
      synapse.reconfigure(guarded(guard));
      if (!waits) assert.deepEqual(synapse.state().services.api?.instances, [three]);
      await until(() => applied.at(-1)?.instances.api?.join() === three.id);
      assert.ok(lines.some(({ message }) => message === 'no suspects are left'));
    }
  });

  it('applies a preference, and shows it in the state and in the metrics', async () => {
    const { service, configOf, start, publish, running, applied } = world();
    const prefer = { label: 'az', value: 'a', others: 'backup', weight: 0.1, minimum: 0.4 } as const;
    const { synapse } = start(configOf([service('api', { policy: { prefer } })]));
    await running('api');
    const local = makeInstance({ host: '10.0.0.3', port: 3, labels: { az: 'a' } });
    publish('api', one, local);
    await until(() => applied.length === 1);
    const shown = () => {
      const { prefer, instances } = synapse.state().services.api ?? {};
      return [prefer?.local, prefer?.in_force, instances?.map(({ backup }) => backup)];
    };
    assert.deepEqual(shown(), [1, true, [true, false]]);
    assert.match(await registry.metrics(), /^synapse_local_instances\{service="api"\} 1$/m);
    assert.deepEqual(synapse.state().services.api?.rules, ['instances with label az "a" come first']);
    assert.deepEqual(Object.keys(synapse.traces('api')), []);
    publish('api', one, two, local);
    assert.deepEqual(shown(), [1, false, [false, false, false]]);
    await until(() => applied.length === 2);
    await until(() => synapse.traces('api')[two.id] !== undefined);
    const { change, source, milliseconds } = synapse.traces('api')[two.id] ?? {};
    assert.deepEqual([change, source, typeof milliseconds], ['added', 'controlled', 'number']);
  });

  it('writes files for other programs while HAProxy does not answer', async () => {
    const { service, configOf, start, publish, running, effects } = world();
    const folder = join((await stateFile()).path, '..');
    const hidden = [service('hidden')[0], { ...service('hidden')[1], hasFile: false }] as const;
    const config = configOf([service('api'), hidden], { fileOutput: { output_directory: folder } });
    const { synapse } = start(config);
    effects.apply = () => new Promise(() => {});
    await running('hidden');
    publish('hidden', two);
    publish('api', one);
    const text = () => readFile(join(folder, 'api.json'), 'utf8').catch(() => '');
    await until(async () => (await text()) === '[{"host":"10.0.0.1","port":1}]');
    assert.deepEqual(await readdir(folder), ['api.json']);
    assert.deepEqual(synapse.state().file_output, { directory: folder, reason: null });
    const other = configOf([service('api')], { fileOutput: { output_directory: join(folder, 'other') } });
    synapse.reconfigure(other);
    await until(async () => (await readdir(join(folder, 'other')).catch(() => [])).length === 1);
  });

  it('applies changes that come during an apply together in the next one', async () => {
    const { service, configOf, start, publish, running, applied, effects } = world();
    start(configOf([service('api'), service('web')]));
    await running('web');
    publish('api');
    publish('web');
    await until(() => applied.length === 1);
    let finish = (): void => {};
    effects.apply = () => new Promise((resolve) => (finish = resolve));
    publish('api', one);
    await Promise.resolve();
    effects.apply = async () => {};
    publish('api', two);
    publish('api', one, two);
    publish('web', two);
    finish();
    await until(() => applied.length === 3);
    assert.deepEqual(applied[2]?.dirty, ['api', 'web']);
    assert.deepEqual(applied[2]?.instances, { api: [one.id, two.id], web: [two.id] });
  });

  it('remembers how a removed instance left its registry', async () => {
    const { service, configOf, start, publish, running, sources, applied } = world();
    const { synapse } = start(configOf([service('api')]));
    await running('api');
    publish('api', one, two);
    await until(() => applied.length === 1);
    sources.get('api')?.[0]?.context.gone(one.id, 'withdrawn');
    publish('api', two);
    await until(() => synapse.traces('api')[one.id] !== undefined);
    const { change, how } = synapse.traces('api')[one.id] ?? {};
    assert.deepEqual([change, how], ['removed', 'withdrawn']);
  });

  it('keeps the last set of a failed source and starts it again; other services do not notice', async () => {
    const { service, configOf, start, publish, running, sources, applied, lines } = world();
    const { synapse } = start(configOf([service('api'), service('web')]));
    await running('web');
    publish('api', one);
    publish('web', two);
    await until(() => applied.length === 1);
    const source = sources.get('api')?.[0];
    source?.runs[0]?.fail('the registry is on fire');
    await until(() => synapse.state().services.api?.reason === 'the registry is on fire');
    assert.deepEqual(synapse.state().services.api?.instances, [one]);
    assert.equal(synapse.state().services.web?.reason, null);
    await until(() => source?.runs.length === 2);
    publish('api', one, two);
    await until(() => applied.length === 2);
    assert.deepEqual(applied[1]?.dirty, ['api']);
    assert.equal(synapse.state().services.api?.reason, null);
    assert.equal(lines.filter(({ message }) => message === 'source of api failed, retrying').length, 1);
  });

  it('applies the same services again after a failure', async () => {
    const { service, configOf, start, publish, running, applied, effects, lines } = world();
    const { synapse } = start(configOf([service('api')]));
    let calls = 0;
    effects.apply = async () => {
      calls += 1;
      if (calls === 1) throw new Error('no HAProxy');
    };
    await running('api');
    publish('api', one);
    await until(() => lines.length > 0);
    assert.equal(synapse.ready(), 'the first snapshot has not been applied yet');
    await until(() => applied.length === 1);
    assert.deepEqual(applied[0]?.instances, { api: [one.id] });
    assert.equal(synapse.ready(), null);
  });

  it('uses the instances of the state file until the source answers', async () => {
    const file = await stateFile();
    const before = world();
    const first = before.start(before.configOf([before.service('api')], { stateFile: file }));
    await before.running('api');
    before.publish('api', one);
    await until(() => before.applied.length === 1);
    await first.stop();

    const after = world();
    const config = after.configOf([after.service('api'), after.service('web')], { stateFile: file, initialWaitMs: 20 });
    const { synapse } = after.start(config);
    await until(() => after.applied.length === 1);
    assert.deepEqual(after.applied[0]?.instances, { api: [one.id], web: null });
    assert.equal(synapse.state().services.api?.origin, 'cache');
    assert.equal(synapse.state().services.api?.reason, 'has not answered yet');
    after.publish('api', two);
    await until(() => after.applied.length === 2);
    assert.deepEqual(after.applied[1]?.instances, { api: [two.id], web: null });
  });

  it('keeps the instances of the state file over starts with an empty registry', async () => {
    const file = await stateFile();
    for (const instances of [[one], [], []]) {
      const { service, configOf, start, publish, running, applied } = world();
      const { stop } = start(configOf([service('api')], { stateFile: file }));
      await running('api');
      publish('api', ...instances);
      await until(() => applied.length === 1);
      assert.deepEqual(applied[0]?.instances, { api: [one.id] });
      await stop();
    }
  });

  it('touches only what changed in a new configuration', async () => {
    const { service, configOf, start, publish, running, sources, applied } = world();
    const { synapse } = start(
      configOf([service('kept'), service('lines'), service('source'), service('policy'), service('gone')]),
    );
    await running('gone');
    for (const name of ['kept', 'lines', 'source', 'policy', 'gone']) publish(name, one);
    await until(() => applied.length === 1);
    synapse.reconfigure(
      configOf([
        service('kept'),
        service('lines', { line: 'mode tcp' }),
        service('source', { version: 2 }),
        service('policy', { policy: { portOverride: 9 } }),
        service('new'),
      ]),
    );
    await until(() => applied.length === 2);
    assert.deepEqual(applied[1]?.dirty, ['gone', 'lines', 'new', 'policy']);
    assert.deepEqual(applied[1]?.instances, {
      kept: [one.id],
      lines: [one.id],
      source: [one.id],
      policy: ['10.0.0.1:9'],
      new: null,
    });
    const runsOf = (name: string) => sources.get(name)?.map(({ runs }) => runs.map(({ signal }) => signal.aborted));
    assert.deepEqual(runsOf('kept'), [[false]]);
    assert.deepEqual(runsOf('lines'), [[false]]);
    assert.deepEqual(runsOf('policy'), [[false]]);
    assert.deepEqual(runsOf('source'), [[true], [false]]);
    assert.deepEqual(runsOf('gone'), [[true]]);
    // A late set of the old source is ignored.
    sources.get('source')?.[0]?.runs[0]?.publish({ instances: [], rejected: [], seenAt: 0 });
    publish('source', two);
    await until(() => applied.length === 3);
    assert.deepEqual(applied[2]?.dirty, ['source']);
    assert.deepEqual(applied[2]?.instances.source, [two.id]);
  });

  it('does not suspect instances of a source that was replaced', async () => {
    const { service, configOf, start, publish, running, sources, applied, lines } = world();
    const policy = { expiryGuard: { share: 0.5, holdMs: 60_000, suspectMs: 60_000 } };
    const { synapse } = start(configOf([service('api', { policy })]));
    await running('api');
    const [three, four] = [3, 4].map((n) => makeInstance({ host: `10.0.0.${n}`, port: 1 })) as [Instance, Instance];
    publish('api', one, two, three);
    await until(() => applied.length > 0);

    synapse.reconfigure(configOf([service('api', { policy, version: 2 })]));
    await until(() => (sources.get('api')?.length ?? 0) === 2 && (sources.get('api')?.at(-1)?.runs.length ?? 0) > 0);
    assert.equal(synapse.state().services.api?.instances?.length, 3, 'until the new source answers');
    publish('api', four);
    await until(() => applied.at(-1)?.instances.api?.join() === four.id);
    assert.deepEqual(
      lines.filter(({ message }) => message.includes('suspects')),
      [],
    );
    // The new source's own instances are guarded.
    publish('api', four, one, two);
    publish('api', four);
    await until(() => lines.some(({ message }) => message.includes('suspects')));
    assert.equal(synapse.state().services.api?.instances?.length, 3);
  });

  it('includes a new configuration that comes before the first apply', async () => {
    const { service, configOf, start, publish, running, applied } = world();
    const { synapse } = start(configOf([service('api'), service('gone')]));
    await running('gone');
    publish('api', one);
    synapse.reconfigure(configOf([service('api'), service('new')]));
    await running('new');
    assert.equal(applied.length, 0);
    publish('new', two);
    await until(() => applied.length === 1);
    assert.deepEqual(applied[0]?.instances, { api: [one.id], new: [two.id] });
  });

  it('gives everything to a new output whose first apply fails', async () => {
    const { service, configOf, start, publish, running, applied, effects, lines } = world();
    const { synapse } = start(configOf([service('api'), service('web')]));
    await running('web');
    publish('api', one);
    publish('web', two);
    await until(() => applied.length === 1);
    effects.apply = async () => {
      effects.apply = async () => {};
      throw new Error('not yet');
    };
    synapse.reconfigure(
      configOf([service('api', { line: 'mode tcp' }), service('web')], { haproxy: output('second') }),
    );
    await until(() => applied.length === 2);
    assert.ok(lines.some(({ fields }) => fields.reason === 'not yet'));
    assert.deepEqual(applied[1]?.dirty, ['api', 'web']);
  });

  it('logs what was applied', async () => {
    const { service, configOf, start, publish, running, applied, lines } = world();
    const { synapse } = start(configOf([service('api'), service('web')], { initialWaitMs: 20 }));
    await running('web');
    publish('api', one);
    await until(() => applied.length === 1);
    publish('api', two);
    await until(() => applied.length === 2);
    synapse.reconfigure(configOf([service('api')]));
    await until(() => applied.length === 3);
    const said = lines.filter(({ level }) => level === 'info').map(({ message, fields }) => [message, fields]);
    for (const [, fields] of said) delete (fields as Record<string, unknown>).milliseconds;
    assert.deepEqual(said, [
      ['all services applied', { services: 2, instances: 1, unknown: ['web'] }],
      ['instances applied', { service: 'api', instances: 1, added: [two.id], removed: [one.id], source: 'controlled' }],
      ['a service was removed', { service: 'web' }],
    ]);
  });

  it('writes at most 60 lines at once when the instances of a service change all the time', async () => {
    const { service, configOf, start, publish, running, applied, lines } = world();
    start(configOf([service('api'), service('web')], { initialWaitMs: 20 }));
    await running('web');
    for (let change = 1; change <= 100; change += 1) {
      publish('api', change % 2 === 0 ? one : two);
      await until(() => applied.length === change);
    }
    publish('web', one);
    await until(() => applied.length === 101);
    const named = (name: string) =>
      lines.filter(({ message, fields }) => message === 'instances applied' && fields.service === name).length;
    // One more line for each second that the test takes.
    assert.ok(named('api') >= 60 && named('api') < 99, String(named('api')));
    assert.equal(named('web'), 1);
  });

  it('touches nothing when the configuration is the same', async () => {
    const { service, configOf, start, publish, running, sources, applied } = world();
    const { synapse } = start(configOf([service('api')]));
    await running('api');
    publish('api', one);
    await until(() => applied.length === 1);
    synapse.reconfigure(configOf([service('api')]));
    await delay(20);
    assert.equal(applied.length, 1);
    assert.equal(sources.get('api')?.length, 1);
  });

  it('gives everything to a new output after the haproxy section changed', async () => {
    const { service, configOf, start, publish, running, applied, ended } = world();
    const { synapse } = start(configOf([service('api'), service('web')]));
    await running('web');
    publish('api', one);
    publish('web', two);
    await until(() => applied.length === 1);
    synapse.reconfigure(configOf([service('api'), service('web')], { haproxy: output('second') }));
    await until(() => applied.length === 2);
    assert.deepEqual(ended, ['first']);
    assert.deepEqual(applied[1], {
      output: 'second',
      dirty: ['api', 'web'],
      instances: { api: [one.id], web: [two.id] },
    });
  });

  it('restarts the sources when etcd options changed, and keeps their sets', async () => {
    const { service, configOf, start, publish, running, sources, applied } = world();
    const { synapse } = start(configOf([service('api')]));
    await running('api');
    publish('api', one);
    await until(() => applied.length === 1);
    synapse.reconfigure(configOf([service('api')], { etcd: { hosts: ['http://127.0.0.1:2'] } }));
    assert.equal(sources.get('api')?.length, 2);
    assert.deepEqual(synapse.state().services.api?.instances, [one]);
  });

  it('ends what sources share with the last of them', async () => {
    const { service, configOf, start, publish, running, sources, applied } = world();
    const { synapse } = start(configOf([service('api'), service('web')]));
    await running('web');
    const made: AbortSignal[] = [];
    const share = (name: string) =>
      sources
        .get(name)
        ?.at(-1)
        ?.context.shared('connection', (signal) => made.push(signal) && signal);
    assert.equal(share('api'), share('web'));
    publish('api');
    publish('web');
    await until(() => applied.length === 1);
    synapse.reconfigure(configOf([service('api')]));
    await delay(10);
    assert.deepEqual(
      made.map(({ aborted }) => aborted),
      [false],
    );
    synapse.reconfigure(configOf([service('new')]));
    await until(() => made[0]?.aborted);
  });

  it('applies an empty snapshot when there are no services', async () => {
    const { configOf, start, applied } = world();
    const { synapse } = start(configOf([]));
    await until(() => applied.length === 1);
    assert.deepEqual(applied[0], { output: 'first', dirty: [], instances: {} });
    assert.equal(synapse.ready(), null);
  });

  it('stops its sources even before the first apply', async () => {
    const { service, configOf, start, running, sources, applied, ended } = world();
    const { stop } = start(configOf([service('api')]));
    await running('api');
    await stop();
    assert.equal(sources.get('api')?.[0]?.runs[0]?.signal.aborted, true);
    assert.deepEqual(applied, []);
    assert.deepEqual(ended, []);
  });
});
