import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
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

  /** A source of puppets; `say` publishes for one of them. */
  function world(makeResolver: () => Resolver, more: Readonly<Record<string, Partial<Part>>> = {}) {
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
        discovery: { method: 'puppet', options: {}, create },
        filters: [],
        portOverride: undefined,
        ...more[name],
      };
    });
    const { log, lines } = recordingLog();
    const sets: InstanceSet[] = [];
    const end = new AbortController();
    const context = { service: 'api', log, etcd: { hosts: [] }, rejected() {}, gone() {}, shared: () => assert.fail() };
    const source = multiSource(parts, makeResolver, context);
    const done = source((set) => sets.push(set), end.signal);
    const stop = async (): Promise<void> => {
      end.abort();
      await done;
    };
    ends.push(() => stop().catch(() => {}));
    const isAsked = (name: string): boolean => runs.get(name)?.at(-1)?.signal.aborted === false;
    const say = async (name: string, instances: readonly Instance[], set: Partial<InstanceSet> = {}): Promise<void> => {
      await until(() => isAsked(name));
      runs
        .get(name)
        ?.at(-1)
        ?.publish({ instances, rejected: [], seenAt: 1, ...set });
    };
    const hosts = () => sets.map(({ instances }) => instances.map(({ host, port }) => `${host}:${port}`).join(' '));
    return { source, sets, hosts, say, isAsked, runs, lines, done, stop };
  }
  const inOrder = (after: number) => () => sequential.create({ after }, ['primary', 'secondary']);
  const both = () => union.create({ wait: 60_000 }, ['primary', 'secondary']);

  test('asks the second one only when the first has had none for long enough, and leaves it when it has some', async () => {
    const { say, hosts, isAsked, lines, source } = world(inOrder(30));
    await say('primary', [a, b]);
    assert.ok(!isAsked('secondary'));
    await say('primary', []);
    assert.ok(!isAsked('secondary'), 'not at once');
    await until(() => isAsked('secondary'));
    assert.deepEqual(hosts(), ['a:1 b:1'], 'what was there stays');
    await say('secondary', [c]);
    assert.deepEqual(hosts(), ['a:1 b:1', 'c:1']);
    assert.deepEqual(
      source.status?.().parts?.map(({ name, role, instances }) => [name, role, instances]),
      [
        ['primary', 'asked', 0],
        ['secondary', 'used', 1],
      ],
    );
    await say('primary', [a]);
    assert.deepEqual(hosts(), ['a:1 b:1', 'c:1', 'a:1']);
    assert.ok(!isAsked('secondary'));
    assert.deepEqual(
      lines.filter(({ level }) => level === 'warn').map(({ fields }) => [fields.before, fields.uses]),
      [
        ['primary', 'secondary'],
        ['secondary', 'primary'],
      ],
    );
  });

  test('asks the second one when the first never answers', async () => {
    const { say, hosts, source } = world(inOrder(20));
    assert.match(source.status?.().reason ?? '', /primary: has not answered yet/);
    await say('secondary', [c]);
    assert.deepEqual(hosts(), ['c:1']);
    assert.equal(source.status?.().reason, null);
  });

  test('does not flap with a first one that comes and goes faster than that', async () => {
    const { say, hosts, isAsked } = world(inOrder(60_000));
    await say('primary', [a]);
    for (let i = 0; i < 5; i++) {
      await say('primary', []);
      await say('primary', [a]);
    }
    assert.ok(!isAsked('secondary'));
    assert.ok(hosts().every((set) => set === 'a:1'));
  });

  test('never says that there are none while one of them has not said so', async () => {
    const { say, hosts } = world(inOrder(20));
    await say('primary', [a]);
    await say('primary', []);
    await until(() => hosts().length === 1);
    await delay(60);
    assert.deepEqual(hosts(), ['a:1']);
    await say('secondary', []);
    await until(() => hosts().length === 2);
    assert.deepEqual(hosts(), ['a:1', '']);
  });

  test('a second one must answer again each time it is asked', async () => {
    const { say, hosts, runs } = world(inOrder(10));
    await say('primary', [a]);
    await say('primary', []);
    await say('secondary', [c]);
    await say('primary', [a]);
    await say('primary', []);
    await until(() => runs.get('secondary')?.length === 2);
    assert.equal(hosts().at(-1), 'a:1', 'what it said before is not used');
    await say('secondary', [b]);
    assert.equal(hosts().at(-1), 'b:1');
  });

  test('an instance about to vanish is none', async () => {
    const { say, isAsked } = world(inOrder(10));
    await say('primary', [make('a', { state: 'down' })]);
    await until(() => isAsked('secondary'));
  });

  test('what goes in a switch was withdrawn, what expires within one source was not', async () => {
    const { say, sets } = world(inOrder(10));
    await say('primary', [a, b, c]);
    await say('primary', [c], { withdrawn: new Set([a.id]) });
    assert.deepEqual([...(sets.at(-1)?.withdrawn ?? [])], [a.id]);
    await say('primary', []);
    await say('secondary', [b]);
    assert.deepEqual([...(sets.at(-1)?.withdrawn ?? [])], [c.id]);
  });

  test('each has its own filters and its own port, and what is left out is known', async () => {
    const filters: readonly LabelFilter[] = [{ label: 'az', value: 'x', condition: 'equals' }];
    const { say, sets, hosts, isAsked } = world(inOrder(10), { primary: { filters }, secondary: { portOverride: 80 } });
    await say('primary', [a]);
    await until(() => isAsked('secondary'));
    await say('secondary', [a, make('a', { port: 2 })]);
    assert.deepEqual(hosts(), ['a:80 a:80']);
    await say('primary', [make('a', { labels: { az: 'x' } }), b]);
    assert.deepEqual(hosts().at(-1), 'a:1');
    assert.deepEqual(
      sets.at(-1)?.leftOut?.map(({ id }) => id),
      [b.id],
    );
  });

  test('a union waits for all, has each instance once, and says where a bad record was', async () => {
    const { say, sets, hosts } = world(both);
    await say('primary', [a, b], { revision: '7' });
    assert.deepEqual(hosts(), []);
    await say('secondary', [b, c], { rejected: [{ where: 'x', reason: 'bad' }] });
    assert.deepEqual(hosts(), ['a:1 b:1 c:1']);
    assert.deepEqual(sets[0]?.rejected, [{ where: 'secondary: x', reason: 'bad' }]);
    assert.equal(sets[0]?.revision, 'primary 7');
    await say('primary', []);
    assert.equal(hosts().at(-1), 'b:1 c:1');
  });

  test('configuration from the first one counts also while the second one has the instances', async () => {
    const { say, sets } = world(inOrder(10));
    const published = { where: '/config', value: {} };
    await say('primary', [a], { published });
    await say('primary', [], { published });
    await say('secondary', [b]);
    assert.deepEqual(
      sets.map((set) => set.published),
      [published, published],
    );
  });

  test('one that fails is started again, and the other goes on', async () => {
    const { say, hosts, runs, source } = world(both);
    await say('primary', [a]);
    await say('secondary', [c]);
    runs.get('secondary')?.[0]?.fail(new Error('broken pipe'));
    await until(() => /secondary: .*broken pipe/.test(source.status?.().reason ?? ''));
    await say('primary', [b]);
    assert.equal(hosts().at(-1), 'b:1 c:1');
    await until(() => runs.get('secondary')?.length === 2);
  });

  test('a resolver that throws is the failure of the whole source', async () => {
    const { say, done, isAsked } = world(() => (children) => {
      if (children[0]?.answered) throw new Error('no idea');
      return { use: undefined, ask: ['primary'] };
    });
    await say('primary', [a]);
    await assert.rejects(done, /no idea/);
    assert.ok(!isAsked('primary'));
  });

  test('ends all of them when it is told to', async () => {
    const { say, stop, isAsked } = world(both);
    await say('primary', [a]);
    await stop();
    assert.ok(!isAsked('primary') && !isAsked('secondary'));
  });
});
