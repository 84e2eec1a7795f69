import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeInstance } from '../../../../common/instance.ts';
import { buildBackendSpec } from '../../../../synapse/haproxy/spec/build-backend.ts';
import {
  adoptClosed,
  createDesiredService,
  diffInstances,
  ServerIds,
  takeInstances,
} from '../../../../synapse/haproxy/spec/desired-service.ts';
import { parseConfig } from '../../../../synapse/haproxy/spec/parse-config.ts';
import type { BackendSpec } from '../../../../synapse/haproxy/spec/types.ts';
import { serviceConfig } from '../../../support/haproxy/haproxy-output.ts';
import { plainConfig } from '../../../support/haproxy/haproxy-text.ts';

describe('the numbers of servers', () => {
  it('keeps those that are known, and gives out the lowest free ones', () => {
    const ids = new ServerIds(5);
    ids.reset([
      ['a', 2],
      ['tombstone', 1],
    ]);
    assert.deepEqual([ids.claim('b'), ids.claim('a'), ids.claim('c'), ids.claim('b')], [3, 2, 4, 3]);
    assert.equal(ids.claim('d', 4), 5);
    assert.equal(ids.claim('e'), undefined);
    ids.reset([['c', 4]]);
    assert.deepEqual([ids.claim('e'), ids.get('c'), ids.get('a')], [1, 4, undefined]);
  });
});

describe('changes of the instances', () => {
  const spec = buildBackendSpec('api', serviceConfig({ port: 1 }), plainConfig()) as BackendSpec;
  const make = (port: number, state: 'up' | 'drain' | 'down' = 'up') => makeInstance({ host: '10.0.0.1', port, state });
  const [one, two, three] = [make(1), make(2), make(3)];

  it('are found between what is equal at both ends', () => {
    assert.deepEqual(diffInstances([one, two, three], [one, three]), { removed: [two], added: [] });
    assert.deepEqual(diffInstances([one, three], [one, two, three]), { removed: [], added: [two] });
    assert.deepEqual(diffInstances([one], [one]), { removed: [], added: [] });
    assert.deepEqual(diffInstances([one, one], [one]), { removed: [one], added: [] });
    assert.deepEqual(diffInstances([one, two], [two, one]), { removed: [one, two], added: [two, one] });
  });

  it('say what each server should be now', () => {
    const desired = createDesiredService('api', 10);
    const names = (...lists: (readonly ReturnType<typeof make>[])[]) =>
      lists.map((list) =>
        takeInstances(desired, spec, list, 1000).map(
          ({ name, server }) => `${name.split(':')[1]} ${server?.state ?? 'gone'}`,
        ),
      );
    assert.deepEqual(names([one, two], [one], [one, one], [one], [make(1, 'drain')], [make(1, 'down')], []), [
      ['1 ready', '2 ready'],
      ['2 gone'],
      ['1 ready'],
      ['1 ready'],
      ['1 drain'],
      ['1 gone'],
      ['1 gone'],
    ]);
    assert.deepEqual([...desired.leaving.keys()], ['10.0.0.1:1']);
    names([one]);
    assert.equal(desired.leaving.size, 0);
  });
});

describe('servers that an earlier synapse had closed', () => {
  const spec = buildBackendSpec('api', serviceConfig({ port: 1 }), plainConfig()) as BackendSpec;
  const parsed = parseConfig('backend api\n\tserver one 10.0.0.1:1 disabled\n\tserver two 10.0.0.1:2\n');

  it('are taken from the file once: with instances, the file is not even parsed', () => {
    const desired = createDesiredService('api', 10);
    let readings = 0;
    const file = {
      get backends() {
        readings += 1;
        return parsed.backends;
      },
    };
    desired.active = spec;
    adoptClosed(desired, file);
    assert.deepEqual([...desired.closed], ['one']);
    assert.equal(readings, 1);
    desired.instances = [];
    adoptClosed(desired, file);
    assert.equal(readings, 1);
  });
});
