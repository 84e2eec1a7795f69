import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type InstanceFields, makeInstance } from '../../../common/instance.ts';
import { createPublisher, Findings } from '../../../synapse/discovery/instance-set-builder.ts';
import type { InstanceSet, Rejected } from '../../../synapse/source.ts';

function world(options: Parameters<typeof createPublisher>[1] = {}) {
  const rejected: Rejected[] = [];
  const gone: string[] = [];
  const sets: InstanceSet[] = [];
  const publisher = createPublisher(
    { rejected: (record) => rejected.push(record), gone: (id, how) => gone.push(`${id} ${how}`) },
    options,
  );
  return { rejected, gone, sets, start: () => publisher.start((set) => sets.push(set)) };
}

const found = (...records: (InstanceFields | string)[]): Findings => {
  const findings = new Findings();
  for (const [index, record] of records.entries()) {
    const where = `entry ${index}`;
    if (typeof record === 'string') findings.reject(where, record);
    else findings.add(where, () => makeInstance(record));
  }
  return findings;
};
const one = { host: 'a', port: 1, labels: { az: 'x' } };
const two = { host: 'a', port: 2 };

describe('findings', () => {
  test('what cannot be used is rejected, and so is what is there already', () => {
    const { instances, rejected } = found(one, { host: 'a b', port: 1 }, one);
    assert.deepEqual(instances, [makeInstance(one)]);
    assert.deepEqual(
      rejected.map(({ where }) => where),
      ['entry 1', 'entry 2'],
    );
  });
});

describe('a publisher', () => {
  test('publishes the first findings of each run, and later ones when they differ', () => {
    const { sets, start } = world();
    const hand = start();
    hand(found());
    hand(found());
    hand(found(one));
    hand(found(one));
    assert.equal(sets.length, 2);
    start()(found(one));
    assert.equal(sets.length, 3);
    assert.equal(sets[2]?.instances[0], sets[1]?.instances[0], 'an equal instance is the same object');
  });

  test('another order, another field, another rejected record are differences', () => {
    const { sets, start } = world();
    const hand = start();
    for (const findings of [
      found(one, two),
      found(two, one),
      found(two, { ...one, labels: { az: 'y' } }),
      found('bad'),
    ]) {
      hand(findings);
    }
    assert.equal(sets.length, 4);
    assert.equal(sets[1]?.instances[0], sets[0]?.instances[1]);
  });

  test('a rejected record is told of once, for as long as it is the same', () => {
    const { rejected, start } = world();
    const hand = start();
    for (const findings of [found('bad'), found('bad'), found('worse'), found(), found('bad')]) hand(findings);
    assert.deepEqual(
      rejected.map(({ reason }) => reason),
      ['bad', 'worse', 'bad'],
    );
  });

  const ways: readonly (readonly [leased: boolean, state: 'up' | 'down', how: string])[] = [
    [false, 'up', 'withdrawn'],
    [true, 'up', 'expired'],
    [true, 'down', 'withdrawn'],
  ];
  for (const [leased, state, how] of ways) {
    test(`what was ${state} and is gone is ${how} ${leased ? 'where records expire' : 'where someone keeps a list'}`, () => {
      const { gone, sets, start } = world({ leased: () => leased });
      const hand = start();
      hand(found({ ...two, state }));
      hand(found());
      assert.deepEqual(gone, [`a:2 ${how}`]);
      assert.deepEqual([...(sets[1]?.withdrawn ?? [])], how === 'withdrawn' ? ['a:2'] : []);
    });
  }
});
