import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RecordOrigin } from '../../../common/etcd/records/record-origin.ts';
import { AnnouncedIndex, announcementsIn } from '../../../synapse/catalog/announced.ts';
import { filterSet } from '../../../synapse/catalog/filter-set.ts';
import { withoutReused } from '../../../synapse/catalog/stand-in.ts';
import type { InstanceSet } from '../../../synapse/source.ts';
import { namedInstance, setOf } from '../../support/daemons/instance-sets.ts';

const [a, b, c] = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((host) => namedInstance(host)) as [
  ReturnType<typeof namedInstance>,
  ReturnType<typeof namedInstance>,
  ReturnType<typeof namedInstance>,
];
const originOf = (key: string): RecordOrigin => ({ key, modRevision: '1', created: 1, lease: '7' });
const set: InstanceSet = {
  ...setOf(a, b, c),
  leases: ['1', '2', '3'],
  origins: ['/a', '/b', '/c'].map(originOf),
  sequence: [10, 20, 30],
};

describe('filterSet', () => {
  it('keeps lease, origin and number with each instance', () => {
    const { instances, leases, origins, sequence } = filterSet(set, (instance) => instance !== b);
    assert.deepEqual(
      [instances, leases, sequence],
      [
        [a, c],
        ['1', '3'],
        [10, 30],
      ],
    );
    assert.deepEqual(
      origins?.map((origin) => origin?.key),
      ['/a', '/c'],
    );
  });

  it('adds no list that the set does not have', () => {
    assert.deepEqual(
      filterSet(setOf(a, b), (instance) => instance === a),
      setOf(a),
    );
  });

  it('returns the same set when all pass', () =>
    assert.equal(
      filterSet(set, () => true),
      set,
    ));
});

describe('withoutReused', () => {
  it('leaves each of the other instances its own record', () => {
    const index = new AnnouncedIndex();
    index.take('web', announcementsIn('web', setOf(b)));
    const stays = withoutReused('api', set, index);
    assert.deepEqual(stays.instances, [a, c]);
    assert.deepEqual(
      stays.origins?.map((origin) => origin?.key),
      ['/a', '/c'],
    );
  });
});
