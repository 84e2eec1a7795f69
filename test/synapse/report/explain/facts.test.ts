import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeInstance } from '../../../../common/instance.ts';
import { instancesOf } from '../../../../synapse/report/explain/facts.ts';
import { serviceFacts } from '../../../support/daemons/service-facts.ts';

describe('the facts about instances', () => {
  const record = makeInstance({ name: 'i-1', host: 'web.test', port: 80 });
  const placed = { ...record, id: 'i-1_10.0.0.1:80', host: '10.0.0.1', hostName: 'web.test' };
  const inRegistry = {
    where: '/nerve/services/api/i-1',
    id: record.id,
    name: 'i-1',
    reason: null,
    announced_at: null,
    created: '1',
    revision: '2',
    lease: null,
    ttl: null,
    left: null,
  };
  const facts = serviceFacts([placed], { registry: { records: [inRegistry], reason: null } });

  it('join the record with a host name and the instance at its address', () => {
    const [only, ...others] = instancesOf(facts);
    assert.deepEqual(others, []);
    assert.deepEqual([only?.id, only?.instance, only?.record], [placed.id, placed, inRegistry]);
  });

  it('are found by the name of the record and by that of the server', () => {
    for (const name of [record.id, placed.id]) {
      assert.deepEqual(
        instancesOf(facts, name).map(({ id }) => id),
        [placed.id],
      );
    }
  });
});
