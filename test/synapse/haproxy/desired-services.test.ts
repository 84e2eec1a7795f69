import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../../../common/daemon/log.ts';
import { DesiredServices } from '../../../synapse/haproxy/desired-services.ts';
import type { ServiceHaproxyConfig } from '../../../synapse/haproxy/options/service-config.ts';
import { serviceConfig } from '../../support/haproxy/haproxy-output.ts';
import { plainConfig } from '../../support/haproxy/haproxy-text.ts';

describe('the reasons for another configuration', () => {
  it('count for the budget of a service when only what is published has changed, and not when its own section has', () => {
    const services = new DesiredServices(plainConfig(), { log: silentLog, renumber: () => {} });
    services.begin(plainConfig());
    const [local, published, other] = [2, 3, 4].map((rise) =>
      serviceConfig({ port: 1, server_options: `check rise ${rise}` }),
    ) as [ServiceHaproxyConfig, ServiceHaproxyConfig, ServiceHaproxyConfig];
    const reasonsFor = (config: ServiceHaproxyConfig, own = config) => {
      const state = { name: 'api', config, ...(own !== config && { local: own }), instances: [], seenAt: 0 };
      return services.update(new Map([['api', state]]), new Set(['api'])).reasons.map(({ service }) => service);
    };
    assert.deepEqual(reasonsFor(local), [undefined], 'the service is new');
    assert.deepEqual(reasonsFor(published, local), ['api']);
    assert.deepEqual(reasonsFor(local), ['api'], 'it is published no more');
    assert.deepEqual(reasonsFor(other), [undefined], 'the operator changed it');
    assert.deepEqual(reasonsFor(other), []);
  });
});
