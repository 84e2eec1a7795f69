import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Instance } from '../../../common/instance.ts';
import type { Preference } from '../../../synapse/catalog/preference.ts';
import { type Place, type Policy, sameInstances, select } from '../../../synapse/catalog/select.ts';
import { isToStartDown, type OutputInstance, startsDown, takenCookies } from '../../../synapse/output.ts';
import type { InstanceSet } from '../../../synapse/source.ts';
import { namedInstance, plainPolicy, setOf } from '../../support/daemons/instance-sets.ts';

const one = namedInstance('server1');
const two = namedInstance('server2');
const fallback = [namedInstance('default-server1'), namedInstance('default-server2')];
const east = namedInstance('east', { labels: { az: 'us-east-1a', tier: 'web' } });
const west = namedInstance('west', { labels: { az: 'us-west-1a', tier: 'web' } });

interface Case {
  readonly title: string;
  readonly policy?: Partial<Policy>;
  readonly set?: InstanceSet | undefined;
  readonly previous?: InstanceSet;
  readonly expect: readonly string[] | undefined;
  readonly origin: string;
  /** Of the instance in question. */
  readonly host?: string;
  readonly weight?: number;
}

const three = namedInstance('server3');
/** What max_instances leaves out. */
const limits: readonly Case[] = [
  {
    title: 'the instances that were announced first are used when there are more than max_instances',
    policy: { maxInstances: 2 },
    set: { ...setOf(one, two, three), sequence: [9, 5, 7] },
    expect: ids(two, three),
    origin: 'discovered',
  },
  {
    title: 'an instance that is announced later displaces no other one, wherever its key is',
    policy: { maxInstances: 2 },
    set: { ...setOf(namedInstance('a'), one, two), sequence: [10, 9, 5] },
    expect: ids(one, two),
    origin: 'discovered',
  },
  {
    title: 'the first instances of the list are used when the source does not know which came first',
    policy: { maxInstances: 2 },
    set: setOf(one, two, three),
    expect: ids(one, two),
    origin: 'discovered',
  },
  {
    title: 'max_instances counts the instances that pass the filters',
    policy: { maxInstances: 1, filters: [{ label: 'az', value: 'us-west-1a', condition: 'equals' }] },
    set: { ...setOf(one, two, east, west), sequence: [1, 2, 3, 4] },
    expect: ids(west),
    origin: 'discovered',
  },
  {
    title: 'max_instances counts instances behind a port override in their order',
    policy: { maxInstances: 1, portOverride: 81 },
    set: { ...setOf(one, two), sequence: [7, 3] },
    expect: ['server2_server2:81'],
    origin: 'discovered',
  },
  {
    title: 'max_instances leaves out no default server that is always used',
    policy: { maxInstances: 3, defaultServers: fallback, keepDefaultServers: true },
    set: { ...setOf(one, two), sequence: [7, 3] },
    expect: ids(two, ...fallback),
    origin: 'discovered',
  },
  {
    title: 'max_instances leaves out no lost instance that is kept',
    policy: { maxInstances: 2 },
    set: { ...setOf(one, two, three), sequence: [1, 2, Number.POSITIVE_INFINITY] },
    expect: ids(one, three),
    origin: 'discovered',
  },
  {
    title: 'as many instances as max_instances are all used',
    policy: { maxInstances: 2 },
    set: { ...setOf(one, two), sequence: [2, 1] },
    expect: ids(one, two),
    origin: 'discovered',
  },
];

/** Three instances that would be one server, a_b_c:123 : host names may have underscores. */
const longName = namedInstance('c', { name: 'a_b' });
const shortName = namedInstance('b_c', { name: 'a' });
const noName = namedInstance('a_b_c', { name: '' });
const namesakes: readonly Case[] = [
  ...[
    [longName, shortName, noName],
    [noName, shortName, longName],
    [shortName, longName, noName],
  ].map((found, index) => ({
    title: `of instances with one server name, the one with the longest name is used (order ${index + 1})`,
    set: setOf(...found, one),
    host: 'c',
    expect: ids(longName, one),
    origin: 'discovered',
  })),
  {
    title: 'a default server that is always used keeps its server name, whatever is announced',
    policy: { defaultServers: [noName], keepDefaultServers: true },
    set: setOf(longName, one),
    host: 'a_b_c',
    expect: ids(one, noName),
    origin: 'discovered',
  },
  {
    title: 'the record of a default server is used in its place',
    policy: { defaultServers: [one], keepDefaultServers: true },
    set: setOf(namedInstance('server1', { weight: 7 })),
    weight: 7,
    expect: ids(one),
    origin: 'discovered',
  },
];

const cases: readonly Case[] = [
  { title: 'discovered instances are used', set: setOf(one, two), expect: ids(one, two), origin: 'discovered' },
  { title: 'duplicates count once', set: setOf(one, two, one, two), expect: ids(one, two), origin: 'discovered' },
  {
    title: 'the same host and port under two names are two instances',
    set: setOf(one, namedInstance('server1', { name: 'other' })),
    expect: ['server1_server1:123', 'other_server1:123'],
    origin: 'discovered',
  },
  {
    title: 'an empty discovery falls back to the default servers',
    policy: { defaultServers: fallback },
    set: setOf(),
    previous: setOf(one),
    expect: ids(...fallback),
    origin: 'defaults',
  },
  {
    title: 'an empty discovery keeps the previous instances',
    set: setOf(),
    previous: setOf(one, two),
    expect: ids(one, two),
    origin: 'previous',
  },
  {
    title: 'an empty discovery empties the service when previous backends are not used',
    policy: { usePreviousBackends: false },
    set: setOf(),
    previous: setOf(one),
    expect: [],
    origin: 'discovered',
  },
  { title: 'an empty first discovery empties the service', set: setOf(), expect: [], origin: 'discovered' },
  {
    title: 'a service without a discovery yet is unknown, not empty',
    set: undefined,
    expect: undefined,
    origin: 'nothing',
  },
  {
    title: 'a service without a discovery yet is unknown also when previous backends are not used',
    policy: { usePreviousBackends: false },
    set: undefined,
    expect: undefined,
    origin: 'nothing',
  },
  {
    title: 'default servers serve until the first discovery',
    policy: { defaultServers: fallback },
    set: undefined,
    expect: ids(...fallback),
    origin: 'defaults',
  },
  {
    title: 'kept default servers come after the discovered ones',
    policy: { defaultServers: fallback, keepDefaultServers: true },
    set: setOf(one, two),
    expect: ids(one, two, ...fallback),
    origin: 'discovered',
  },
  {
    title: 'the port override applies to discovered and kept default servers, before duplicates are dropped',
    policy: { defaultServers: [namedInstance('server1', { port: 9 })], keepDefaultServers: true, portOverride: 8081 },
    set: setOf(one, two),
    expect: ['server1_server1:8081', 'server2_server2:8081'],
    origin: 'discovered',
  },
  {
    title: 'the port override finds duplicates that the source could not have',
    policy: { portOverride: 8081 },
    set: { ...setOf(one, namedInstance('server1', { port: 124 }), two), unique: true },
    expect: ['server1_server1:8081', 'server2_server2:8081'],
    origin: 'discovered',
  },
  {
    title: 'the port override does not apply to default servers that stand in',
    policy: { defaultServers: fallback, portOverride: 8081 },
    set: setOf(),
    expect: ids(...fallback),
    origin: 'defaults',
  },
  {
    title: 'an instance that is being withdrawn is not used',
    set: setOf(one, namedInstance('server2', { state: 'down' })),
    expect: ids(one),
    origin: 'discovered',
  },
  {
    title: 'a set of instances that are all being withdrawn is an empty discovery',
    set: setOf(namedInstance('server1', { state: 'down' })),
    previous: setOf(one),
    expect: ids(one),
    origin: 'previous',
  },
  {
    title: 'a draining instance stays',
    set: setOf(namedInstance('server1', { state: 'drain' })),
    expect: ids(one),
    origin: 'discovered',
  },
  {
    title: 'equals keeps only instances with that value',
    policy: { filters: [{ label: 'az', value: 'us-east-1a', condition: 'equals' }] },
    set: setOf(one, east, west),
    expect: ids(east),
    origin: 'discovered',
  },
  {
    title: 'not-equals keeps the others and those without the label',
    policy: { filters: [{ label: 'az', value: 'us-east-1a', condition: 'not-equals' }] },
    set: setOf(one, east, west),
    expect: ids(one, west),
    origin: 'discovered',
  },
  {
    title: 'all filters must match',
    policy: {
      filters: [
        { label: 'tier', value: 'web', condition: 'equals' },
        { label: 'az', value: 'us-east-1a', condition: 'not-equals' },
      ],
    },
    set: setOf(one, east, west),
    expect: ids(west),
    origin: 'discovered',
  },
  {
    title: 'filters apply to default servers that stand in',
    policy: { defaultServers: fallback, filters: [{ label: 'az', value: 'x', condition: 'equals' }] },
    set: setOf(),
    expect: [],
    origin: 'defaults',
  },
  {
    title: 'a filter that no instance passes empties the service, with or without previous backends',
    policy: { filters: [{ label: 'az', value: 'nowhere', condition: 'equals' }] },
    set: setOf(east, west),
    previous: setOf(east),
    expect: [],
    origin: 'discovered',
  },
  {
    title: 'a label called like a property of every object is absent',
    policy: { filters: [{ label: 'constructor', value: 'x', condition: 'not-equals' }] },
    set: setOf(east),
    expect: ids(east),
    origin: 'discovered',
  },
  {
    title: 'the leader is the oldest instance',
    policy: { leaderElection: true },
    set: { ...setOf(one, two), sequence: [7, 3] },
    expect: ids(two),
    origin: 'discovered',
  },
  {
    title: 'the leader is found behind a port override',
    policy: { leaderElection: true, portOverride: 81 },
    set: { ...setOf(one, two), sequence: [7, 3] },
    expect: ['server2_server2:81'],
    origin: 'discovered',
  },
  {
    title: 'the leader is elected among those that pass the filters',
    policy: { leaderElection: true, filters: [{ label: 'az', value: 'us-west-1a', condition: 'equals' }] },
    set: setOf(one, east, west),
    expect: ids(west),
    origin: 'discovered',
  },
  ...limits,
  ...namesakes,
  {
    title: 'without instances there is no leader',
    policy: { leaderElection: true, usePreviousBackends: false },
    set: setOf(),
    expect: [],
    origin: 'discovered',
  },
];

describe('select', () => {
  for (const { title, policy, set, previous, expect, origin, host, weight } of cases) {
    it(title, () => {
      const selection = select({ ...plainPolicy, ...policy }, set, { previous });
      assert.deepEqual(
        selection.instances?.map(({ id }) => id),
        expect,
      );
      assert.equal(selection.origin, origin);
      if (host !== undefined) assert.equal(selection.instances?.find(({ id }) => id === longName.id)?.host, host);
      if (weight !== undefined) assert.equal(selection.instances?.[0]?.weight, weight);
    });
  }

  const lastPolicy = { ...plainPolicy, defaultServers: fallback };
  const unusable: readonly {
    readonly title: string;
    readonly policy?: Partial<Policy>;
    readonly out: readonly Instance[];
    readonly set: InstanceSet;
    readonly previous?: InstanceSet;
    readonly expect: readonly Instance[];
    readonly origin: string;
  }[] = [
    {
      title: 'an instance whose host cannot be used is left out',
      out: [one],
      set: setOf(one, two),
      expect: [two],
      origin: 'discovered',
    },
    {
      title: 'default servers serve while the host of no instance can be used',
      policy: lastPolicy,
      out: [one, two],
      set: setOf(one, two),
      expect: fallback,
      origin: 'defaults',
    },
    {
      title: 'the previous instances stay while the host of no instance can be used',
      out: [one],
      set: setOf(one),
      previous: setOf(two),
      expect: [two],
      origin: 'previous',
    },
    {
      title: 'a service is empty when the host of no instance can be used and there is no stand-in',
      policy: { usePreviousBackends: false },
      out: [one],
      set: setOf(one),
      previous: setOf(two),
      expect: [],
      origin: 'discovered',
    },
    {
      title: 'the leader is elected among all instances, and no other one takes its place',
      policy: { leaderElection: true },
      out: [one],
      set: { ...setOf(one, two), sequence: [1, 2] },
      expect: [],
      origin: 'discovered',
    },
  ];
  for (const { title, policy, out, set, previous, expect, origin } of unusable) {
    it(title, () => {
      const place: Place = (candidates) => ({
        candidates,
        instances: candidates.filter((each) => !out.includes(each)),
        unusable: candidates
          .filter((each) => out.includes(each))
          .map(({ id }) => ({ id, kind: 'unresolved', reason: 'no address' })),
        names: new Set(candidates.map(({ host }) => host)),
      });
      const selection = select({ ...plainPolicy, ...policy }, set, { previous, place });
      assert.deepEqual(selection.instances, expect);
      assert.equal(selection.origin, origin);
      for (const { id } of out) assert.ok(selection.unusable.some((each) => each.id === id));
      for (const { host } of out) assert.ok(selection.names.has(host), 'it is looked up all the same');
    });
  }

  it('returns the same object for an instance behind a port override every time', () => {
    const policy = { ...plainPolicy, portOverride: 8081 };
    const first = select(policy, setOf(one)).instances?.[0];
    assert.equal(select(policy, setOf(one, two)).instances?.[0], first);
  });
});

describe('an instance that comes back and is to start DOWN', () => {
  const local: Instance = namedInstance('local', { labels: { az: 'a' } });
  const back: OutputInstance = { ...namedInstance('back', { labels: { az: 'b' } }), [startsDown]: true };
  const prefer: Preference = { label: 'az', value: 'a', others: 'backup', weight: 0.1, minimum: 0 };
  for (const [what, policy] of [
    ['nothing changes it', {}],
    ['backend_port_override gives it another port', { portOverride: 81 }],
    ['a preference makes it a backup', { prefer }],
    ['a preference changes its weight', { prefer: { ...prefer, others: 'weight' as const } }],
    ['both change it', { portOverride: 81, prefer }],
    ['max_instances counts it', { portOverride: 81, maxInstances: 2 }],
  ] as const) {
    it(`keeps its mark when ${what}, and no other one has it`, () => {
      const { instances = [] } = select({ ...plainPolicy, ...policy }, setOf(local, back));
      assert.deepEqual(
        instances.map((one) => [one.name, isToStartDown(one)]),
        [
          ['local', false],
          ['back', true],
        ],
      );
    });
  }
});

describe('a cookie for which several records ask', () => {
  const asking = (name: string, serverOptions: string) => namedInstance(name, { serverOptions });
  const [a, b, c] = [asking('a', 'rise 2 cookie blue'), asking('b', 'cookie blue'), asking('c', 'cookie red')];
  interface CookieCase {
    readonly title: string;
    readonly policy?: Partial<Policy>;
    readonly set: InstanceSet;
    /** Name → the cookies that it does not get, each with the id of its owner. */
    readonly taken: Readonly<Record<string, Readonly<Record<string, string>>>>;
  }
  const cases: readonly CookieCase[] = [
    {
      title: 'belongs to the one that was announced first, wherever its key is',
      set: { ...setOf(a, b, c), sequence: [9, 5, 1] },
      taken: { a: { blue: b.id } },
    },
    {
      title: 'belongs to the first of the list when the source does not know which came first',
      set: setOf(a, b, c),
      taken: { b: { blue: a.id } },
    },
    {
      title: 'belongs to a default server before all others',
      policy: { defaultServers: [b], keepDefaultServers: true },
      set: { ...setOf(a, c), sequence: [1, 2] },
      taken: { a: { blue: b.id } },
    },
    {
      title: 'belongs to the next one once the first is withdrawn',
      set: { ...setOf(a, { ...b, state: 'down' }, asking('d', 'cookie blue')), sequence: [9, 5, 10] },
      taken: { d: { blue: a.id } },
    },
    {
      title: 'is decided for each one when a record asks for several',
      set: { ...setOf(a, c, asking('e', 'cookie blue cookie red')), sequence: [3, 4, 5] },
      taken: { e: { blue: a.id, red: c.id } },
    },
    {
      title: 'is no cookie that synapse gives to servers: those have their own rule',
      set: setOf(asking('f', `cookie ${one.id}`), asking('g', `cookie ${one.id}`)),
      taken: {},
    },
    {
      title: 'stays with its owner behind a port override',
      policy: { portOverride: 81 },
      set: { ...setOf(a, b), sequence: [2, 1] },
      taken: { a: { blue: b.id.replace(/\d+$/, '81') } },
    },
  ];
  const takenIn = (instances: readonly OutputInstance[]) =>
    Object.fromEntries(
      instances.flatMap((each) => {
        const cookies = each[takenCookies];
        return cookies === undefined ? [] : [[each.name, Object.fromEntries(cookies)]];
      }),
    );
  for (const { title, policy = {}, set, taken } of cases) {
    it(title, () => {
      const { instances = [] } = select({ ...plainPolicy, ...policy }, set);
      assert.deepEqual(takenIn(instances), taken);
      const again = select({ ...plainPolicy, ...policy }, set).instances ?? [];
      assert.ok(
        instances.every((each, index) => each === again[index]),
        'the same objects',
      );
    });
  }
});

describe('sameInstances', () => {
  const table: readonly [string, readonly Instance[] | undefined, readonly Instance[] | undefined, boolean][] = [
    ['equal objects', [one, two], [one, two], true],
    ['another order', [one, two], [two, one], true],
    [
      'equal fields in other objects',
      [one, east],
      [namedInstance('server1'), namedInstance('east', { labels: { ...east.labels } })],
      true,
    ],
    ['another weight', [one], [namedInstance('server1', { weight: 2 })], false],
    ['another state', [one], [namedInstance('server1', { state: 'drain' })], false],
    ['another label', [east], [namedInstance('east', { labels: { az: 'us-east-1b', tier: 'web' } })], false],
    ['one label less', [east], [namedInstance('east', { labels: { az: 'us-east-1a' } })], false],
    ['one more', [one], [one, two], false],
    ['unknown is not empty', undefined, [], false],
    ['unknown is unknown', undefined, undefined, true],
  ];
  for (const [title, a, b, same] of table) it(title, () => assert.equal(sameInstances(a, b), same));
});

function ids(...instances: readonly Instance[]): string[] {
  return instances.map(({ id }) => id);
}
