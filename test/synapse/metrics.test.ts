import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { metricsText, registry } from '../../common/daemon/metrics.ts';
import { makeInstance } from '../../common/instance.ts';
import { type Observed, observe, prepare } from '../../synapse/metrics.ts';

const instances = Array.from({ length: 50 }, (_, port) => makeInstance({ host: '10.0.0.1', port: port + 1 }));

function service(name: string): Observed {
  const source = { method: 'etcd', up: true, age: 1_000, rejected: 1, refused: false, changedAt: 1 };
  const none = { suspects: 0, overLimit: 0, held: 0 };
  return { name, instances, ...none, unresolved: 1, refusedInstances: 2, local: 10, ...source };
}

describe('the gauges of synapse', () => {
  it('cost one reading and a few series for each service, with 1,000 services of 50 instances', async () => {
    const names = Array.from({ length: 1_000 }, (_, index) => `service-${index}`);
    const before = (await metricsText()).split('\n').length;
    let looks = 0;
    observe(() => {
      looks += 1;
      return names.map(service);
    });
    for (const name of names) prepare(name);
    const text = await registry.metrics();
    assert.equal(looks, 1);
    const series = text.split('\n').length - before;
    assert.ok(series > 10_000 && series < 21_500, `${series} series`);
    assert.match(text, /^synapse_instances\{service="service-999",state="up"\} 50$/m);
    assert.match(text, /^synapse_unresolved_instances\{service="service-7"\} 1$/m);
    assert.match(text, /^synapse_refused_instances\{service="service-7"\} 2$/m);
    assert.match(text, /^synapse_source_age_seconds\{service="service-0",method="etcd"\} 1$/m);
    observe(() => []);
  });
});
