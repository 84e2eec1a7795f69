import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Catalog } from '../../../synapse/catalog/catalog.ts';
import type { Discoverer } from '../../../synapse/discovery/discoverer.ts';
import { InstanceReturns } from '../../../synapse/report/returns.ts';
import { stateOf } from '../../../synapse/report/state.ts';
import { namedInstance, plainPolicy, setOf } from '../../support/daemons/instance-sets.ts';
import { serviceConfig } from '../../support/haproxy/haproxy-output.ts';

describe('the state of the services', () => {
  it('looks for the instances that are left out once for each change of a service', () => {
    const used = namedInstance('one');
    const other = (name: string) => namedInstance(name, { labels: { az: 'other' } });
    const filters = [{ label: 'az', value: 'other', condition: 'not-equals' }] as const;
    const service = { policy: { ...plainPolicy, filters }, config: serviceConfig({}) };
    const catalog = new Catalog();
    catalog.configure(
      new Map([
        ['api', service],
        ['web', service],
      ]),
    );
    for (const name of ['api', 'web']) catalog.update(name, setOf(used, other('two')));
    const discoverer: Pick<Discoverer, 'status'> = { status: () => ({ method: 'etcd', reason: null, age: null }) };
    const facts = { haproxy: null, health: () => undefined, look: () => undefined, returns: new InstanceReturns() };
    const leftOut = (name: string) => stateOf(catalog, discoverer, facts).services[name]?.left_out ?? [];
    const ids = (name: string) => leftOut(name).map(({ id }) => id);

    const [api, web] = [leftOut('api'), leftOut('web')];
    assert.deepEqual(ids('api'), [other('two').id]);
    assert.equal(leftOut('api'), api);
    catalog.update('api', setOf(used, other('two'), other('three')));
    assert.deepEqual(ids('api'), [other('two').id, other('three').id]);
    assert.equal(leftOut('web'), web);
  });
});
