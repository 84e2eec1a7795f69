import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Problem } from '../../../common/config/config.ts';
import { thisHost } from '../../../common/host.ts';
import { formatInstance } from '../../../common/instance.ts';
import { ownCheckTypes } from '../../../nerve/check.ts';
import { readServices, type ServiceConfig } from '../../../nerve/config/service-config.ts';

async function read(value: object) {
  const problems: Problem[] = [];
  const deps = { instanceId: 'i-1', checkTypes: ownCheckTypes, host: thisHost };
  const services = await readServices('api', value, { path: 'services.api', problems }, deps);
  return { services, problems: problems.map(({ path, message }) => `${path}: ${message}`) };
}

const keys = (services: readonly ServiceConfig[]): readonly string[] =>
  services.map(({ name, service, key }) => `${name} of ${service} at ${key}`);

describe('several instances of one service', () => {
  it('are announced under one path, and share the options that they do not override', async () => {
    const instances = [{ port: 3000 }, { port: 3001, backup: true, weight: 1 }];
    const { services, problems } = await read({ host: '10.0.0.1', weight: 5, checks: [{ type: 'tcp' }], instances });
    assert.deepEqual(problems, []);
    assert.deepEqual(keys(services), [
      'api:3000 of api at /nerve/services/api/i-1_10.0.0.1:3000',
      'api:3001 of api at /nerve/services/api/i-1_10.0.0.1:3001',
    ]);
    assert.deepEqual(
      services.map(({ instance }) => formatInstance(instance)),
      [
        '{"host":"10.0.0.1","port":3000,"name":"i-1","weight":5}',
        '{"host":"10.0.0.1","port":3001,"name":"i-1","weight":1,"backup":true}',
      ],
    );
    assert.deepEqual(
      services.map(({ checks }) => checks[0]?.target.port),
      [3000, 3001],
    );
  });

  it('are named by their ports, whatever their order', async () => {
    const of = async (ports: readonly number[]) => {
      const { services } = await read({ host: 'h', instances: ports.map((port) => ({ port })) });
      return services.map(({ name }) => name);
    };
    assert.deepEqual((await of([1, 2])).toSorted(), (await of([2, 1])).toSorted());
  });

  it('are multiplied by load_test_concurrency, each with a name of its own', async () => {
    const { services, problems } = await read({ host: 'h', port: 80, load_test_concurrency: 2 });
    assert.deepEqual(problems, []);
    assert.deepEqual(keys(services), [
      'api_0 of api at /nerve/services/api/i-1_0_h:80',
      'api_1 of api at /nerve/services/api/i-1_1_h:80',
    ]);
  });

  const wrong: readonly [sentence: string, value: object, problems: readonly string[]][] = [
    [
      'a problem of a shared option once, at its own path',
      { host: 'h', weight: -1, instances: [{ port: 1 }, { port: 2 }] },
      ['services.api.weight: must be a whole number from 0 to 256, not -1'],
    ],
    [
      'a problem of an own option at the path of the instance',
      { host: 'h', instances: [{ port: 1 }, { port: 0 }] },
      ['services.api.instances[1].port: must be a port, a whole number from 1 to 65535, not 0'],
    ],
    [
      'an option that an instance lacks',
      { host: 'h', instances: [{}] },
      ['services.api.instances[0].port: is required: must be a port, a whole number from 1 to 65535'],
    ],
    [
      'instances that are not a list',
      { host: 'h', instances: {} },
      ['services.api.instances: must be a list of instances, such as [{"port": 3000}, {"port": 3001}]'],
    ],
    [
      'instances that are not objects',
      { host: 'h', instances: [3000] },
      ['services.api.instances[0]: must be an object of the options that this instance overrides'],
    ],
    [
      'a number of copies below one',
      { host: 'h', port: 1, load_test_concurrency: 0 },
      ['services.api.load_test_concurrency: must be a whole number from 1 to 10000'],
    ],
  ];
  for (const [sentence, value, expected] of wrong) {
    it(`report ${sentence}`, async () => assert.deepEqual((await read(value)).problems, expected));
  }
});

describe('rate_limiting', () => {
  const of = async (rate_limiting: object) => {
    const { services, problems } = await read({ host: 'h', port: 1, rate_limiting });
    return problems.length > 0 ? problems.join('\n') : services[0]?.rateLimit;
  };

  it('limits nothing by default', async () => {
    const none = { shadow: true, averageRate: Number.POSITIVE_INFINITY, maxBurst: Number.POSITIVE_INFINITY };
    assert.deepEqual(await of({}), none);
    assert.deepEqual(await of({ shadow_mode: false, average_rate: 0.5, max_burst: 10 }), {
      shadow: false,
      averageRate: 0.5,
      maxBurst: 10,
    });
  });

  // The cases of SmartStack's own tests.
  const wrong: readonly [object, RegExp][] = [
    [{ average_rate: 'string', max_burst: 1 }, /average_rate: must be a number, not "string"/],
    [{ average_rate: 1, max_burst: 'string' }, /max_burst: must be a number, not "string"/],
    [{ average_rate: -1, max_burst: 1 }, /average_rate: must be a number, 0 or more, not -1/],
    [{ average_rate: 1, max_burst: 0 }, /max_burst: must be a number, 1 or more, not 0/],
  ];
  for (const [value, message] of wrong) {
    it(`refuses ${JSON.stringify(value)}`, async () => assert.match(String(await of(value)), message));
  }
});

describe('the interval of a check', () => {
  it('is the service’s check_interval by default', async () => {
    const checks = [{ type: 'noop' }, { type: 'noop', interval: 3, fast_interval: '100ms', jitter: 0 }];
    const { services, problems } = await read({ host: 'h', port: 1, check_interval: 2, checks });
    assert.deepEqual(problems, []);
    assert.deepEqual(
      services[0]?.checks.map(({ intervalMs, fastIntervalMs, jitter }) => [intervalMs, fastIntervalMs, jitter]),
      [
        [2000, 2000, 0.1],
        [3000, 100, 0],
      ],
    );
  });

  it('is refused with a jitter above 1', async () => {
    const { problems } = await read({ host: 'h', port: 1, checks: [{ type: 'noop', jitter: 2 }] });
    assert.deepEqual(problems, ['services.api.checks[0].jitter: must be a number from 0 to 1, not 2']);
  });
});
