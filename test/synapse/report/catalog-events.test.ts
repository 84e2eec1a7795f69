import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../../../common/daemon/log.ts';
import type { Instance } from '../../../common/instance.ts';
import { Catalog } from '../../../synapse/catalog/catalog.ts';
import { recordCatalogChange } from '../../../synapse/report/catalog-events.ts';
import { Events } from '../../../synapse/report/events.ts';
import { namedInstance, plainPolicy, setOf } from '../../support/daemons/instance-sets.ts';
import { serviceConfig } from '../../support/haproxy/haproxy-output.ts';

describe('the events of the catalog', () => {
  it('say when a service has more than max_instances, and when it no longer has', () => {
    const catalog = new Catalog();
    catalog.configure(new Map([['api', { policy: { ...plainPolicy, maxInstances: 2 }, config: serviceConfig({}) }]]));
    const events = new Events();
    const told: string[] = [];
    const ended = new AbortController();
    events.listen(({ kind, level, service, left_out: count }) => {
      told.push([kind, level, service, count].join(' '));
    }, ended.signal);
    const [a, b, c, d] = [namedInstance('a'), namedInstance('b'), namedInstance('c'), namedInstance('d')];
    const take = (...found: readonly Instance[]): void => {
      for (const change of catalog.update('api', setOf(...found)))
        recordCatalogChange(change, { log: silentLog, events });
    };
    take(a, b);
    assert.deepEqual(told, []);
    take(a, b, c, d);
    take(a, b, c);
    assert.deepEqual(told, ['limit_exceeded warn api 2']);
    assert.equal(catalog.entry('api')?.overLimit, 1);
    take(b, c);
    assert.deepEqual(told.slice(1), ['limit_kept info api ']);
    assert.equal(catalog.entry('api')?.overLimit, 0);
  });
});
