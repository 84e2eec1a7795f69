import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Instance, makeInstance } from '../../../common/instance.ts';
import type { KnownName } from '../../../synapse/addresses/known-name.ts';
import { nothingPlaced, type PlaceFacts, place, recordIdOf, type Unusable } from '../../../synapse/addresses/place.ts';

const literal = makeInstance({ name: 'a', host: '10.0.0.1', port: 80 });
const six = makeInstance({ host: '2001:db8::1', port: 80 });
const named = makeInstance({ name: 'b', host: 'b.test', port: 80, labels: { az: 'x' }, weight: 3, state: 'drain' });
const nameless = makeInstance({ host: 'c.test.', port: 81 });

const found = (address: string): KnownName => ({ address, reason: null, failures: 0 });

function factsOf(
  names: Readonly<Record<string, KnownName>> = {},
  more: Partial<PlaceFacts> = {},
): PlaceFacts & { readonly judged: string[] } {
  const judged: string[] = [];
  return {
    judged,
    look: (name) => names[name],
    remembered: () => undefined,
    refusal(instance) {
      judged.push(instance.id);
      return null;
    },
    ...more,
  };
}

describe('instances at their addresses', () => {
  it('stay the same list when all have addresses', () => {
    const candidates = [literal, six];
    const placed = place(candidates, factsOf());
    assert.equal(placed.instances, candidates);
    assert.deepEqual([placed.unusable, placed.names], [[], new Set()]);
  });

  const cases: readonly {
    readonly what: string;
    readonly candidates: readonly Instance[];
    readonly facts: PlaceFacts;
    readonly ids?: readonly string[];
    readonly unusable?: readonly Unusable[];
  }[] = [
    {
      what: 'are named after their record and their address when they have host names',
      candidates: [literal, named, nameless],
      facts: factsOf({ 'b.test': found('10.0.0.2'), 'c.test.': found('2001:db8::2') }),
      ids: ['a_10.0.0.1:80', 'b_10.0.0.2:80', 'c.test_2001:db8::2:81'],
    },
    {
      what: 'are left out while the first lookup is under way, and the others stand',
      candidates: [named, literal],
      facts: factsOf({ 'b.test': { address: undefined, reason: null, failures: 0 } }),
      ids: ['a_10.0.0.1:80'],
      unusable: [{ id: 'b_b.test:80', kind: 'waiting', reason: 'its host name b.test is being looked up' }],
    },
    {
      what: 'are left out before their names were looked up',
      candidates: [named],
      facts: factsOf(),
      unusable: [{ id: 'b_b.test:80', kind: 'waiting', reason: 'its host name b.test is being looked up' }],
    },
    {
      what: 'are left out with the reason when their names have no address',
      candidates: [named, literal],
      facts: factsOf({ 'b.test': { address: undefined, reason: 'host name not found', failures: 2 } }),
      ids: ['a_10.0.0.1:80'],
      unusable: [
        {
          id: 'b_b.test:80',
          kind: 'unresolved',
          reason: 'its host name b.test cannot be resolved: host name not found',
        },
      ],
    },
    {
      what: 'stay at the last address of a name that cannot be looked up',
      candidates: [named],
      facts: factsOf({ 'b.test': { address: '10.0.0.2', reason: 'the name server failed', failures: 1 } }),
      ids: ['b_10.0.0.2:80'],
    },
    {
      what: 'are at the address of an earlier run until their name is found',
      candidates: [named],
      facts: factsOf({}, { remembered: (instance) => (instance === named ? '10.0.0.7' : undefined) }),
      ids: ['b_10.0.0.7:80'],
    },
    {
      what: 'are judged by the address of their name',
      candidates: [named, literal],
      facts: factsOf(
        { 'b.test': found('169.254.169.254') },
        { refusal: ({ host }) => (host.startsWith('169.') ? 'is link-local' : null) },
      ),
      ids: ['a_10.0.0.1:80'],
      unusable: [{ id: 'b_b.test:80', kind: 'refused', reason: 'the address 169.254.169.254 of b.test is link-local' }],
    },
    {
      what: 'are left out when their own address is refused',
      candidates: [literal, six],
      facts: factsOf({}, { refusal: ({ host }) => (host === '10.0.0.1' ? 'is far away' : null) }),
      ids: ['2001:db8::1:80'],
      unusable: [{ id: 'a_10.0.0.1:80', kind: 'refused', reason: 'its address 10.0.0.1 is far away' }],
    },
    {
      what: 'count once when two names with one record name have one address',
      candidates: [named, makeInstance({ name: 'b', host: 'twin.test', port: 80 })],
      facts: factsOf({ 'b.test': found('10.0.0.2'), 'twin.test': found('10.0.0.2') }),
      ids: ['b_10.0.0.2:80'],
      unusable: [{ id: 'b_twin.test:80', kind: 'double', reason: 'another instance is b_10.0.0.2:80 too' }],
    },
  ];
  for (const { what, candidates, facts, ids = [], unusable = [] } of cases) {
    it(what, () => {
      const placed = place(candidates, facts);
      assert.deepEqual(
        placed.instances.map(({ id }) => id),
        ids,
      );
      assert.deepEqual(placed.unusable, unusable);
    });
  }

  it('keep all other fields, and the host name', () => {
    const [placed] = place([named], factsOf({ 'b.test': found('10.0.0.2') })).instances;
    assert.deepEqual(placed, { ...named, id: 'b_10.0.0.2:80', host: '10.0.0.2', hostName: 'b.test' });
    assert.equal(placed && recordIdOf(placed), named.id);
    assert.equal(recordIdOf(literal), literal.id);
  });

  it('are the same objects as long as their address is, and other servers when it changes', () => {
    const first = place([named], factsOf({ 'b.test': found('10.0.0.2') })).instances[0];
    assert.equal(place([literal, named], factsOf({ 'b.test': found('10.0.0.2') })).instances[1], first);
    const moved = place([named], factsOf({ 'b.test': found('10.0.0.3') })).instances[0];
    assert.notEqual(moved?.id, first?.id);
  });

  it('are judged only where the list changed', () => {
    const many = Array.from({ length: 1_000 }, (_, index) => makeInstance({ host: '10.1.0.1', port: index + 1 }));
    const placed = place(many, factsOf(), nothingPlaced);
    const changes: readonly (readonly Instance[])[] = [
      [...many.slice(0, 500), literal, ...many.slice(500)],
      [...many.slice(0, 500), ...many.slice(501)],
      [...many.slice(0, 500), literal, ...many.slice(501)],
      [...many, literal],
      many,
      [],
    ];
    for (const next of changes) {
      const facts = factsOf();
      const again = place(next, facts, placed);
      assert.equal(again.instances, next);
      assert.deepEqual(facts.judged, next.includes(literal) ? [literal.id] : []);
    }
    const withName = [...many.slice(0, 500), named, ...many.slice(501)];
    const mixed = place(withName, factsOf({ 'b.test': found('10.0.0.2') }), placed);
    assert.equal(mixed.instances.length, 1_000);
    assert.equal(place(many, factsOf(), mixed).instances, many);
  });
});
