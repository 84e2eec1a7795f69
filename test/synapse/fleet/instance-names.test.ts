import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type InstanceFields, makeInstance } from '../../../common/instance.ts';
import { namesOf, namesOfKey } from '../../../synapse/fleet/instance-names.ts';
import type { ServerNames } from '../../../synapse/haproxy/find-servers.ts';

const takes = (names: ServerNames, server: string): boolean =>
  'exact' in names ? names.exact === server : names.like(server);

const ofRecord: readonly [
  fields: InstanceFields,
  portOverride: number | undefined,
  taken: readonly string[],
  not: readonly string[],
][] = [
  [
    { host: '10.0.0.1', port: 80, name: 'a' },
    undefined,
    ['a_10.0.0.1:80'],
    ['a_10.0.0.2:80', 'b_10.0.0.1:80', 'a_10.0.0.1:81'],
  ],
  [{ host: '10.0.0.1', port: 80 }, undefined, ['10.0.0.1:80'], ['a_10.0.0.1:80']],
  [{ host: '::1', port: 80, name: 'a' }, undefined, ['a_::1:80'], ['a_::2:80']],
  [{ host: '10.0.0.1', port: 80, name: 'a' }, 90, ['a_10.0.0.1:90'], ['a_10.0.0.1:80']],
  [
    { host: 'web.test', port: 80, name: 'a' },
    undefined,
    ['a_10.0.0.1:80', 'a_::1:80'],
    ['b_10.0.0.1:80', 'a_10.0.0.1:81'],
  ],
  [{ host: 'web.test.', port: 80 }, undefined, ['web.test_10.0.0.1:80'], ['web_10.0.0.1:80', 'a_web.test_10.0.0.1:80']],
];

const ofKey: readonly [
  key: string,
  portOverride: number | undefined,
  taken: readonly string[],
  not: readonly string[],
][] = [
  ['/s/a_10.0.0.1:80', undefined, ['a_10.0.0.1:80'], ['b_10.0.0.1:80']],
  ['/s/a_10.0.0.1:80', 90, ['a_10.0.0.1:90'], ['a_10.0.0.1:80']],
  ['/s/10.0.0.1:80', undefined, ['10.0.0.1:80'], ['a_10.0.0.1:80']],
  ['/s/a_::1:80', undefined, ['a_::1:80'], ['a_::2:80']],
  ['/s/a_web.test:80', undefined, ['a_10.0.0.1:80', 'a_web.test:80'], ['b_10.0.0.1:80', 'a_10.0.0.1:81']],
  ['/s/a_b_c:80', undefined, ['a_10.0.0.1:80', 'a_b_10.0.0.1:80'], ['b_10.0.0.1:80', 'c_10.0.0.1:80']],
  ['/s/something', undefined, ['a_10.0.0.1:80', 'anything'], []],
];

describe('the servers of an instance', () => {
  for (const [fields, portOverride, taken, not] of ofRecord) {
    it(`are named by its record: ${JSON.stringify(fields)}, port ${portOverride ?? 'as it is'}`, () => {
      const names = namesOf(makeInstance(fields), portOverride);
      for (const server of taken) assert.ok(takes(names, server), server);
      for (const server of not) assert.ok(!takes(names, server), server);
    });
  }

  for (const [key, portOverride, taken, not] of ofKey) {
    it(`are named by the key of a record that is gone: ${key}, port ${portOverride ?? 'as it is'}`, () => {
      const names = namesOfKey(key, portOverride);
      for (const server of taken) assert.ok(takes(names, server), server);
      for (const server of not) assert.ok(!takes(names, server), server);
    });
  }
});
