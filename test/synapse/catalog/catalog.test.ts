import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Instance } from '../../../common/instance.ts';
import { Catalog } from '../../../synapse/catalog/catalog.ts';
import type { CatalogChange, CatalogService } from '../../../synapse/catalog/catalog-entry.ts';
import type { Policy } from '../../../synapse/catalog/select.ts';
import type { ServiceOutputConfig } from '../../../synapse/output.ts';
import type { InstanceSet } from '../../../synapse/source.ts';
import { lostInstance, namedInstance, plainPolicy, setOf } from '../../support/daemons/instance-sets.ts';
import { serviceConfig } from '../../support/haproxy/haproxy-output.ts';

/** A service's section that can be told from others by a name. */
function configNamed(name: string): ServiceOutputConfig {
  return serviceConfig({ backend_name: name });
}

const one = namedInstance('server1');
const two = namedInstance('server2');
const fallback = [namedInstance('default-server1'), namedInstance('default-server2')];

function catalogOf(policy: Partial<Policy> = {}): Catalog {
  const catalog = new Catalog();
  catalog.configure(new Map([['api', { policy: { ...plainPolicy, ...policy }, config: configNamed('api') }]]));
  return catalog;
}

/** The services that outputs have to look at. */
function namesOf(changes: readonly CatalogChange[]): readonly string[] {
  return changes.filter(({ stateChanged }) => stateChanged).map(({ service }) => service);
}

/** The sets a source publishes one after the other, whether each changes anything, and what is in force after it. */
interface Story {
  readonly title: string;
  readonly policy?: Partial<Policy>;
  readonly steps: readonly (readonly [set: InstanceSet, changes: boolean, ids: readonly Instance[]])[];
}

const stories: readonly Story[] = [
  { title: 'takes the first set as a change', steps: [[setOf(one, two), true, [one, two]]] },
  { title: 'takes an empty first set as a change: the service is known to be empty', steps: [[setOf(), true, []]] },
  {
    title: 'takes the same set as no change',
    steps: [
      [setOf(one, two), true, [one, two]],
      [setOf(one, two), false, [one, two]],
    ],
  },
  {
    title: 'takes another order as no change',
    steps: [
      [setOf(one, two), true, [one, two]],
      [setOf(two, one), false, [one, two]],
    ],
  },
  {
    title: 'takes another value of any field as a change',
    steps: [
      [setOf(one), true, [one]],
      [setOf(namedInstance('server1', { weight: 2 })), true, [namedInstance('server1', { weight: 2 })]],
      [
        setOf(namedInstance('server1', { weight: 2, labels: { a: 'b' } })),
        true,
        [namedInstance('server1', { weight: 2, labels: { a: 'b' } })],
      ],
    ],
  },
  {
    title: 'keeps the instances over any number of empty sets',
    steps: [
      [setOf(one), true, [one]],
      [setOf(), false, [one]],
      [setOf(), false, [one]],
      [setOf(two), true, [two]],
    ],
  },
  {
    title: 'empties the service once when previous backends are not used',
    policy: { usePreviousBackends: false },
    steps: [
      [setOf(one), true, [one]],
      [setOf(), true, []],
      [setOf(), false, []],
    ],
  },
  {
    title: 'puts the default servers in place once, not at every empty set',
    policy: { defaultServers: fallback },
    steps: [
      [setOf(one), true, [one]],
      [setOf(), true, fallback],
      [setOf(), false, fallback],
      [setOf(one), true, [one]],
    ],
  },
  {
    title: 'ignores changes of instances that the filters leave out',
    policy: { filters: [{ label: 'az', value: 'a', condition: 'equals' }] },
    steps: [
      [setOf(namedInstance('in', { labels: { az: 'a' } })), true, [namedInstance('in', { labels: { az: 'a' } })]],
      [setOf(namedInstance('in', { labels: { az: 'a' } }), two), false, [namedInstance('in', { labels: { az: 'a' } })]],
    ],
  },
  {
    title: 'keeps the last instances when all are withdrawn one after the other',
    steps: [
      [setOf(one, two), true, [one, two]],
      [setOf(namedInstance('server1', { state: 'down' }), two), true, [two]],
      [setOf(two), false, [two]],
      [setOf(namedInstance('server2', { state: 'down' })), false, [two]],
      [setOf(), false, [two]],
    ],
  },
];

describe('the catalog', () => {
  for (const { title, policy, steps } of stories) {
    it(title, () => {
      const catalog = catalogOf(policy);
      for (const [set, changes, instances] of steps) {
        assert.equal(catalog.update('api', set)[0]?.stateChanged, changes);
        assert.deepEqual(catalog.entry('api')?.state.instances, instances);
      }
    });
  }

  describe('when the last instances of a service stand in for an empty set', () => {
    const other = namedInstance('server1', { name: 'other' });
    /** `web` gets an address of `api` before or after `api` is empty. */
    for (const [when, services] of [
      ['before', ['web', 'api']],
      ['after', ['api', 'web']],
    ] as const) {
      it(`drops the one whose address another service got ${when} that, and keeps the others`, () => {
        const catalog = new Catalog();
        const service = (name: string) => [name, { policy: plainPolicy, config: configNamed(name) }] as const;
        catalog.configure(new Map([service('api'), service('web')]));
        catalog.update('api', setOf(one, two));
        const sets = { api: setOf(), web: setOf(other) };
        const changes = services.flatMap((name) => catalog.update(name, sets[name]));
        assert.deepEqual(namesOf(changes), ['web', 'api']);
        assert.deepEqual(catalog.entry('api')?.state.instances, [two]);
        catalog.update('web', setOf(namedInstance('server2')));
        assert.deepEqual(catalog.entry('api')?.state.instances, [], 'the second address is used by web as well');
        catalog.update('web', setOf());
        assert.deepEqual(catalog.entry('api')?.state.instances, [], 'what is gone does not come back');
        catalog.update('api', setOf(one));
        assert.deepEqual(catalog.entry('api')?.state.instances, [one]);
      });
    }
  });

  it('has no instances of a service before any answer', () => {
    assert.equal(catalogOf().entry('api')?.state.instances, undefined);
  });

  it('uses restored instances until the source answers', () => {
    const catalog = catalogOf();
    catalog.restore('api', { set: setOf(one) });
    assert.deepEqual(catalog.entry('api')?.state.instances, [one]);
    assert.equal(catalog.entry('api')?.origin, 'cache');
    catalog.update('api', setOf(two));
    assert.deepEqual(catalog.entry('api')?.state.instances, [two]);
    assert.equal(catalog.entry('api')?.origin, 'discovered');
    catalog.restore('api', { set: setOf(one) });
    assert.deepEqual(catalog.entry('api')?.state.instances, [two]);
  });

  it('prefers restored instances to default servers', () => {
    const catalog = catalogOf({ defaultServers: fallback });
    catalog.restore('api', { set: setOf(one) });
    assert.deepEqual(catalog.entry('api')?.state.instances, [one]);
  });

  it('keeps restored instances when the first answer is empty', () => {
    const catalog = catalogOf();
    catalog.restore('api', { set: setOf(one) });
    assert.equal(catalog.entry('api')?.state.fromStateFile, 'cache');
    // Outputs are told, because the source has answered.
    assert.equal(catalog.update('api', setOf())[0]?.stateChanged, true);
    assert.deepEqual(catalog.entry('api')?.state.instances, [one]);
    assert.deepEqual(catalog.entry('api')?.lastGood?.instances, [one]);
    // haproxy.cfg was written later than the state file, and may have drained it meanwhile.
    assert.equal(catalog.entry('api')?.state.fromStateFile, 'previous');
  });

  it('keeps the last instances of this process, and not those of the state file, when the source finds none any more', () => {
    const catalog = catalogOf();
    catalog.restore('api', { set: setOf(one) });
    catalog.update('api', setOf(two));
    catalog.update('api', setOf());
    assert.deepEqual(catalog.entry('api')?.state.instances, [two]);
    assert.equal(catalog.entry('api')?.state.fromStateFile, undefined);
  });

  it('keeps restored suspects for the rest of their time, and drops other instances that left meanwhile', () => {
    const policy = { expiryGuard: { share: 0.5, holdMs: 5_000, suspectMs: 60_000 } };
    const catalog = catalogOf(policy);
    const at = performance.now() - 20_000;
    const suspect = { ...lostInstance(two), at, phase: 'suspect', lookAt: at } as const;
    catalog.restore('api', { set: setOf(one, two), kept: new Map([[two.id, suspect]]) });
    assert.deepEqual(catalog.refresh(), []);
    assert.equal(catalog.dueAt(), undefined);
    assert.deepEqual(catalog.entry('api')?.state.instances, [one, two]);
    const [change] = catalog.update('api', setOf(one));
    assert.deepEqual(catalog.entry('api')?.state.instances, [one, two]);
    assert.deepEqual([...(change?.kept.keys() ?? [])], [two.id]);
    assert.deepEqual(
      change?.looks.map(({ instance }) => instance.id),
      [two.id],
      'it is looked at as soon as the source has answered',
    );
    assert.equal(catalog.dueAt(), at + 60_000);
    const later = catalogOf(policy);
    later.restore('api', { set: setOf(one, two), kept: new Map([[two.id, { ...suspect, at: at - 60_000 }]]) });
    later.update('api', setOf(one));
    assert.deepEqual(later.entry('api')?.state.instances, [one]);
  });

  it('changes only the services that a new configuration changes', () => {
    const catalog = new Catalog();
    const kept: CatalogService = { policy: plainPolicy, config: configNamed('kept') };
    const services = new Map([
      ['kept', kept],
      ['gone', { policy: plainPolicy, config: configNamed('gone') }],
      ['lines', { policy: plainPolicy, config: configNamed('old') }],
      ['policy', { policy: plainPolicy, config: configNamed('policy') }],
    ]);
    assert.deepEqual(namesOf(catalog.configure(services)), ['kept', 'gone', 'lines', 'policy']);
    for (const name of services.keys()) catalog.update(name, setOf(one));
    const next = new Map([
      ['new', { policy: plainPolicy, config: configNamed('new') }],
      ['kept', kept],
      ['lines', { policy: plainPolicy, config: configNamed('new lines') }],
      ['policy', { policy: { ...plainPolicy, portOverride: 9 }, config: configNamed('policy') }],
    ]);
    assert.deepEqual(namesOf(catalog.configure(next)).toSorted(), ['gone', 'lines', 'new', 'policy']);
    const snapshot = catalog.snapshot();
    assert.deepEqual([...snapshot.keys()], ['new', 'kept', 'lines', 'policy']);
    assert.deepEqual(snapshot.get('lines')?.instances, [one]);
    assert.equal(snapshot.get('policy')?.instances?.[0]?.port, 9);
  });

  it('applies a new policy to the instances in force', () => {
    const catalog = catalogOf();
    catalog.update('api', setOf(one));
    catalog.update('api', setOf());
    catalog.configure(
      new Map([['api', { policy: { ...plainPolicy, usePreviousBackends: false }, config: configNamed('api') }]]),
    );
    assert.deepEqual(catalog.entry('api')?.state.instances, []);
  });

  it('does not change a snapshot afterwards', () => {
    const catalog = catalogOf();
    const snapshot = catalog.snapshot();
    catalog.update('api', setOf(one));
    assert.equal(snapshot.get('api')?.instances, undefined);
  });

  it('ignores a set of a service that is not configured', () => {
    assert.deepEqual(catalogOf().update('other', setOf(one)), []);
  });
});

describe('the catalog with published configuration', () => {
  const services = new Map([
    [
      'api',
      {
        policy: plainPolicy,
        config: configNamed('local'),
        withPublished: (value: unknown) => {
          const { text } = value as { text: string };
          return text === 'bad' ? { refused: 'no good' } : { config: configNamed(`local and ${text}`) };
        },
      },
    ],
  ]);
  const published = (text: string) => ({ where: '/config', value: { text } });

  it('uses a published configuration until it is gone, and keeps the previous one when a new one is refused', () => {
    const catalog = new Catalog();
    catalog.configure(services);
    const steps: readonly (readonly [text: string | undefined, config: string, refused: string | null])[] = [
      [undefined, 'local', null],
      ['bad', 'local', 'no good'],
      ['one', 'local and one', null],
      ['bad', 'local and one', 'no good'],
      ['two', 'local and two', null],
      [undefined, 'local', null],
    ];
    for (const [text, config, refused] of steps) {
      const set = { ...setOf(one), ...(text !== undefined && { published: published(text) }) };
      assert.equal(catalog.update('api', set)[0]?.newlyRefused, refused);
      assert.equal(catalog.update('api', set)[0]?.newlyRefused, null, 'it is told once');
      assert.equal(catalog.entry('api')?.state.config.backend_name, config);
      assert.equal(catalog.entry('api')?.refused, refused);
    }
  });

  it('keeps a restored published configuration when the new one is broken', () => {
    const broken = { where: '/config', value: {}, broken: 'not JSON' };
    const catalog = new Catalog();
    catalog.configure(services);
    catalog.restore('api', { set: setOf(one), published: published('one') });
    catalog.update('api', { ...setOf(one), published: broken });
    assert.equal(catalog.entry('api')?.state.config.backend_name, 'local and one');
    assert.equal(catalog.entry('api')?.refused, 'not JSON');
  });

  it('uses a restored published configuration until the source answers, and keeps it when the answer is refused', () => {
    const catalog = new Catalog();
    catalog.configure(services);
    catalog.restore('api', { set: setOf(one), published: published('one') });
    assert.equal(catalog.entry('api')?.state.config.backend_name, 'local and one');
    catalog.update('api', { ...setOf(one), published: published('bad') });
    assert.equal(catalog.entry('api')?.state.config.backend_name, 'local and one');
    assert.equal(catalog.entry('api')?.refused, 'no good');
    catalog.update('api', setOf(one));
    assert.equal(catalog.entry('api')?.state.config.backend_name, 'local');
  });

  it('takes a published configuration as a change once, not at each set', () => {
    const catalog = new Catalog();
    catalog.configure(services);
    const document = published('one');
    assert.ok(catalog.update('api', { ...setOf(one), published: document })[0]?.stateChanged);
    assert.ok(!catalog.update('api', { ...setOf(one), published: document })[0]?.stateChanged);
    assert.ok(!catalog.update('api', { ...setOf(one), published: published('one') })[0]?.stateChanged);
    assert.ok(catalog.update('api', { ...setOf(one), published: published('two') })[0]?.stateChanged);
  });
});
