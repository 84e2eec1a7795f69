import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Instance, makeInstance } from '../../../../common/instance.ts';
import type { LabelFilter } from '../../../../synapse/catalog/labels.ts';
import { multiSource } from '../../../../synapse/discovery/multi/multi.ts';
import type { Part } from '../../../../synapse/discovery/multi/parts.ts';
import type { Resolver } from '../../../../synapse/discovery/multi/resolver.ts';
import { resolver as sequential } from '../../../../synapse/discovery/multi/resolvers/sequential.ts';
import { resolver as union } from '../../../../synapse/discovery/multi/resolvers/union.ts';
import type { InstanceSet, Publish, Source } from '../../../../synapse/source.ts';
import { recordingLog } from '../../../support/process/recording-log.ts';
import { until } from '../../../support/until.ts';

const make = (host: string, more: Partial<Instance> = {}): Instance => makeInstance({ host, port: 1, ...more });
const [a, b, c] = [make('a'), make('b'), make('c')];

describe('a source made of several', () => {
  const ends: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });

  /** A source of two controlled sources; `publish` publishes for one of them. */
  function setUp(makeResolver: () => Resolver, more: Readonly<Record<string, Partial<Part>>> = {}) {
    const runs = new Map<string, { publish: Publish; fail: (error: Error) => void; signal: AbortSignal }[]>();
    const parts = ['primary', 'secondary'].map((name): Part => {
      runs.set(name, []);
      const create = (): Source => (publish, signal) =>
        new Promise((resolve, reject) => {
          runs.get(name)?.push({ publish, fail: reject, signal });
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
      return {
        name,
        discovery: { method: 'controlled', options: {}, create },
        filters: [],
        portOverride: undefined,
        ...more[name],
      };
    });
    const { log, lines } = recordingLog();
    const sets: InstanceSet[] = [];
    const end = new AbortController();
    const etcd = { hosts: [] };
    const unused = () => assert.fail();
    const context = {
      service: 'api',
      log,
      etcd,
      openEtcd: unused,
      rejected() {},
      dropped() {},
      gone() {},
      shared: unused,
    };
    const source = multiSource(parts, makeResolver, context);
    const done = source((set) => sets.push(set), end.signal);
    const stop = async (): Promise<void> => {
      end.abort();
      await done;
    };
    ends.push(() => stop().catch(() => {}));
    const isRunning = (name: string): boolean => runs.get(name)?.at(-1)?.signal.aborted === false;
    const publishFrom = async (
      name: string,
      instances: readonly Instance[],
      set: Partial<InstanceSet> = {},
    ): Promise<void> => {
      await until(() => isRunning(name));
      runs
        .get(name)
        ?.at(-1)
        ?.publish({ instances, rejected: [], seenAt: 1, ...set });
    };
    const hosts = () => sets.map(({ instances }) => instances.map(({ host, port }) => `${host}:${port}`).join(' '));
    return { source, sets, hosts, publishFrom, isRunning, runs, lines, done, stop };
  }
  const inOrder = (after: number) => () => sequential.create({ after }, ['primary', 'secondary']);
  const both = () => union.create({ wait: 60_000 }, ['primary', 'secondary']);

  it('the second source runs only after the first has had no instances for long enough, and stops when the first has some', async () => {
    const { publishFrom, hosts, isRunning, lines, source } = setUp(inOrder(30));
    await publishFrom('primary', [a, b]);
    assert.ok(!isRunning('secondary'));
    await publishFrom('primary', []);
    assert.ok(!isRunning('secondary'), 'not at once');
    await until(() => isRunning('secondary'));
    assert.deepEqual(hosts(), ['a:1 b:1'], 'the last instances stay');
    await publishFrom('secondary', [c]);
    assert.deepEqual(hosts(), ['a:1 b:1', 'c:1']);
    assert.deepEqual(
      source.status?.().parts?.map(({ name, role, instances }) => [name, role, instances]),
      [
        ['primary', 'asked', 0],
        ['secondary', 'used', 1],
      ],
    );
    await publishFrom('primary', [a]);
    assert.deepEqual(hosts(), ['a:1 b:1', 'c:1', 'a:1']);
    assert.ok(!isRunning('secondary'));
    assert.deepEqual(
      lines.filter(({ level }) => level === 'warn').map(({ fields }) => [fields.before, fields.uses]),
      [
        ['primary', 'secondary'],
        ['secondary', 'primary'],
      ],
    );
  });

  it('the second source is used when the first never answers', async () => {
    const { publishFrom, hosts, source } = setUp(inOrder(20));
    assert.match(source.status?.().reason ?? '', /primary: has not answered yet/);
    await publishFrom('secondary', [c]);
    assert.deepEqual(hosts(), ['c:1']);
    assert.equal(source.status?.().reason, null);
  });

  it('a first source whose instances come and go faster than the wait causes no switch', async () => {
    const { publishFrom, hosts, isRunning } = setUp(inOrder(60_000));
    await publishFrom('primary', [a]);
    for (let i = 0; i < 5; i++) {
      await publishFrom('primary', []);
      await publishFrom('primary', [a]);
    }
    assert.ok(!isRunning('secondary'));
    assert.ok(hosts().every((set) => set === 'a:1'));
  });

  it('an empty set is published only after every source has published an empty set', async () => {
    const { publishFrom, hosts } = setUp(inOrder(20));
    await publishFrom('primary', [a]);
    await publishFrom('primary', []);
    await until(() => hosts().length === 1);
    await delay(60);
    assert.deepEqual(hosts(), ['a:1']);
    await publishFrom('secondary', []);
    await until(() => hosts().length === 2);
    assert.deepEqual(hosts(), ['a:1', '']);
  });

  it('a source must answer again each time it is started', async () => {
    const { publishFrom, hosts, runs } = setUp(inOrder(10));
    await publishFrom('primary', [a]);
    await publishFrom('primary', []);
    await publishFrom('secondary', [c]);
    await publishFrom('primary', [a]);
    await publishFrom('primary', []);
    await until(() => runs.get('secondary')?.length === 2);
    assert.equal(hosts().at(-1), 'a:1', 'its earlier answer is not used');
    await publishFrom('secondary', [b]);
    assert.equal(hosts().at(-1), 'b:1');
  });

  it('an instance that is being withdrawn does not count as usable', async () => {
    const { publishFrom, isRunning } = setUp(inOrder(10));
    await publishFrom('primary', [make('a', { state: 'down' })]);
    await until(() => isRunning('secondary'));
  });

  it('instances that a switch removes count as withdrawn, instances that expire within one source do not', async () => {
    const { publishFrom, sets } = setUp(inOrder(10));
    await publishFrom('primary', [a, b, c]);
    await publishFrom('primary', [c], { withdrawn: new Map([[a.id, null]]) });
    assert.deepEqual([...(sets.at(-1)?.withdrawn?.keys() ?? [])], [a.id]);
    await publishFrom('primary', []);
    await publishFrom('secondary', [b]);
    assert.deepEqual([...(sets.at(-1)?.withdrawn?.keys() ?? [])], [c.id]);
  });

  it('each source has its own filters and port, and the set lists what they left out', async () => {
    const filters: readonly LabelFilter[] = [{ label: 'az', value: 'x', condition: 'equals' }];
    const { publishFrom, sets, hosts, isRunning } = setUp(inOrder(10), {
      primary: { filters },
      secondary: { portOverride: 80 },
    });
    await publishFrom('primary', [a]);
    await until(() => isRunning('secondary'));
    await publishFrom('secondary', [a, make('a', { port: 2 })]);
    assert.deepEqual(hosts(), ['a:80 a:80']);
    await publishFrom('primary', [make('a', { labels: { az: 'x' } }), b]);
    assert.deepEqual(hosts().at(-1), 'a:1');
    assert.deepEqual(
      sets.at(-1)?.leftOut?.map(({ id }) => id),
      [b.id],
    );
  });

  it('a union waits for all sources, has each instance once, and names the source of a rejected record', async () => {
    const { publishFrom, sets, hosts } = setUp(both);
    await publishFrom('primary', [a, b], { revision: '7' });
    assert.deepEqual(hosts(), []);
    await publishFrom('secondary', [b, c], { rejected: [{ where: 'x', reason: 'bad' }] });
    assert.deepEqual(hosts(), ['a:1 b:1 c:1']);
    assert.deepEqual(sets[0]?.rejected, [{ where: 'secondary: x', reason: 'bad' }]);
    assert.equal(sets[0]?.revision, 'primary 7');
    await publishFrom('primary', []);
    assert.equal(hosts().at(-1), 'b:1 c:1');
  });

  it('configuration published beside the first source counts also while the second source is used', async () => {
    const { publishFrom, sets } = setUp(inOrder(10));
    const published = { where: '/config', value: {} };
    await publishFrom('primary', [a], { published });
    await publishFrom('primary', [], { published });
    await publishFrom('secondary', [b]);
    assert.deepEqual(
      sets.map((set) => set.published),
      [published, published],
    );
  });

  it('a source that fails is started again while the other goes on', async () => {
    const { publishFrom, hosts, runs, source } = setUp(both);
    await publishFrom('primary', [a]);
    await publishFrom('secondary', [c]);
    runs.get('secondary')?.[0]?.fail(new Error('broken pipe'));
    await until(() => /secondary: .*broken pipe/.test(source.status?.().reason ?? ''));
    await publishFrom('primary', [b]);
    assert.equal(hosts().at(-1), 'b:1 c:1');
    await until(() => runs.get('secondary')?.length === 2);
  });

  it('an error of the resolver fails the whole source', async () => {
    const { publishFrom, done, isRunning } = setUp(() => (children) => {
      if (children[0]?.answered) throw new Error('no idea');
      return { use: undefined, ask: ['primary'] };
    });
    await publishFrom('primary', [a]);
    await assert.rejects(done, /no idea/);
    assert.ok(!isRunning('primary'));
  });

  it('all sources end when the whole source is stopped', async () => {
    const { publishFrom, stop, isRunning } = setUp(both);
    await publishFrom('primary', [a]);
    await stop();
    assert.ok(!isRunning('primary') && !isRunning('secondary'));
  });
});
