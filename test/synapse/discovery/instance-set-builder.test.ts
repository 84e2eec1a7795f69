import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type InstanceFields, makeInstance, takeInstance } from '../../../common/instance.ts';
import {
  InstanceSetBuilder,
  SetPublisher,
  type SetPublisherOptions,
} from '../../../synapse/discovery/instance-set-builder.ts';
import type { InstanceSet, Rejected } from '../../../synapse/source.ts';

function recordingPublisher(options: SetPublisherOptions = {}) {
  const rejected: Rejected[] = [];
  const dropped: Rejected[] = [];
  const gone: string[] = [];
  const sets: InstanceSet[] = [];
  const context = {
    rejected: (record: Rejected) => void rejected.push(record),
    dropped: (record: Rejected) => void dropped.push(record),
    gone: (id: string, how: string) => void gone.push(`${id} ${how}`),
  };
  const publisher = new SetPublisher(context, options);
  return { rejected, dropped, gone, sets, start: () => publisher.start((set) => sets.push(set)) };
}

/** A set of these records; a string stands for a record that is rejected for this reason. */
function setOf(...records: (InstanceFields | string)[]): InstanceSetBuilder {
  const builder = new InstanceSetBuilder();
  for (const [index, record] of records.entries()) {
    const where = `entry ${index}`;
    if (typeof record === 'string') builder.reject(where, record);
    else builder.add(where, () => makeInstance(record));
  }
  return builder;
}

const one = { host: 'a', port: 1, labels: { az: 'x' } };
const two = { host: 'a', port: 2 };

describe('the instance set builder', () => {
  it('rejects a record that cannot be used, and a second record of the same instance', () => {
    const { instances, rejected } = setOf(one, { host: 'a b', port: 1 }, one);
    assert.deepEqual(instances, [makeInstance(one)]);
    assert.deepEqual(
      rejected.map(({ where }) => where),
      ['entry 1', 'entry 2'],
    );
  });
});

describe('the name of a rejected record', () => {
  for (const [what, where, shown] of [
    ['one line', 'task a\n\x1b[2Jb\0', 'task a [2Jb'],
    ['no longer than 301 characters', 'x'.repeat(100_000), `${'x'.repeat(300)}…`],
  ] as const) {
    it(`is ${what}`, () => {
      const builder = new InstanceSetBuilder();
      builder.reject(where, 'no port');
      assert.deepEqual(builder.rejected, [{ where: shown, reason: 'no port' }]);
    });
  }
});

describe('the set publisher', () => {
  it('publishes the first set of each run, and later sets when they differ', () => {
    const { sets, start } = recordingPublisher();
    const publish = start();
    publish(setOf());
    publish(setOf());
    publish(setOf(one));
    publish(setOf(one));
    assert.equal(sets.length, 2);
    start()(setOf(one));
    assert.equal(sets.length, 3);
    assert.equal(sets[2]?.instances[0], sets[1]?.instances[0], 'an equal instance is the same object');
  });

  it('publishes a set with another order, another field or another rejected record', () => {
    const { sets, start } = recordingPublisher();
    const publish = start();
    publish(setOf(one, two));
    publish(setOf(two, one));
    publish(setOf(two, { ...one, labels: { az: 'y' } }));
    publish(setOf('bad'));
    assert.equal(sets.length, 4);
    assert.equal(sets[1]?.instances[0], sets[0]?.instances[1]);
  });

  it('reports a record of which a field is not used once, as long as it stays the same', () => {
    const { dropped, start } = recordingPublisher();
    const publish = start();
    const flawed = (weight: unknown) => {
      const builder = new InstanceSetBuilder();
      builder.add('entry', () => takeInstance({ host: 'a', port: 1, weight }));
      return builder;
    };
    for (const set of [flawed('x'), flawed('x'), flawed('y'), flawed(1)]) publish(set);
    assert.deepEqual(
      dropped.map(({ where, reason }) => `${where} ${reason.slice(0, 11)}`),
      ['a:1 weight "x":', 'a:1 weight "y":'],
    );
  });

  it('reports a rejected record once, as long as it stays the same', () => {
    const { rejected, start } = recordingPublisher();
    const publish = start();
    for (const set of [setOf('bad'), setOf('bad'), setOf('worse'), setOf(), setOf('bad')]) publish(set);
    assert.deepEqual(
      rejected.map(({ reason }) => reason),
      ['bad', 'worse', 'bad'],
    );
  });

  const departures: readonly (readonly [title: string, leased: boolean, state: 'up' | 'down', how: string])[] = [
    ['counts an instance that is taken off a list as withdrawn', false, 'up', 'withdrawn'],
    ['counts a leased instance that disappears as expired', true, 'up', 'expired'],
    ['counts a leased instance that was down before it disappeared as withdrawn', true, 'down', 'withdrawn'],
  ];
  for (const [title, leased, state, how] of departures) {
    it(title, () => {
      const { gone, sets, start } = recordingPublisher({ leased: () => leased });
      const publish = start();
      publish(setOf({ ...two, state }));
      publish(setOf());
      assert.deepEqual(gone, [`a:2 ${how}`]);
      assert.deepEqual([...(sets[1]?.withdrawn?.keys() ?? [])], how === 'withdrawn' ? ['a:2'] : []);
    });
  }

  it('tells of each rejected record once, also of one that another record repeats', () => {
    const { rejected, start } = recordingPublisher();
    const publish = start();
    publish(setOf('no port', 'no host'));
    publish(setOf('no port', 'no host', 'no port'));
    assert.deepEqual(
      rejected.map(({ where, reason }) => `${where} ${reason}`),
      ['entry 0 no port', 'entry 1 no host', 'entry 2 no port'],
    );
  });
});
