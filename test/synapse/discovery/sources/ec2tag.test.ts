import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Shared } from '../../../../synapse/discovery/shared.ts';
import { makeSource, runSource, type SourceRun, startSource } from '../../../support/daemons/source-run.ts';
import { type Answer, type Ec2Server, type FakeInstance, startEc2Server } from '../../../support/servers/ec2-server.ts';
import { until } from '../../../support/until.ts';

const one: FakeInstance = {
  id: 'i-1',
  address: '10.0.0.1',
  publicAddress: '198.51.100.1',
  ipv6: '2001:db8::1',
  dnsName: 'ip-10-0-0-1.ec2.internal',
  zone: 'us-east-1b',
  tags: { servicename: 'api', env: 'prod', Name: 'blue' },
};
const two: FakeInstance = {
  id: 'i-2',
  address: '10.0.0.2',
  dnsName: 'ip-10-0-0-2.ec2.internal',
  tags: { servicename: 'api', env: 'test' },
};
const web: FakeInstance = {
  id: 'i-3',
  address: '10.0.0.3',
  dnsName: 'ip-10-0-0-3.ec2.internal',
  tags: { servicename: 'web', role: 'front.end' },
};
const pages = (...list: (readonly FakeInstance[])[]): Answer => ({ kind: 'pages', pages: list });

describe('the source ec2tag', () => {
  let server: Ec2Server;
  let runs: SourceRun[];

  beforeEach(async () => {
    server = await startEc2Server();
    runs = [];
  });
  afterEach(async () => {
    await Promise.all(runs.map((run) => run.stop()));
    await server.close();
  });

  const optionsOf = (more: object = {}): object => ({
    tag_name: 'servicename',
    tag_value: 'api',
    check_interval: '200ms',
    timeout: '5s',
    aws_region: 'us-east-1',
    aws_access_key_id: 'AKIDEXAMPLE',
    aws_secret_access_key: 'secret',
    endpoint: server.endpoint,
    port: 50001,
    ...more,
  });
  const start = async (more: object = {}, shared = new Shared()): Promise<SourceRun> => {
    const run = await runSource('ec2tag', optionsOf(more), shared);
    runs.push(run);
    return run;
  };

  it('gives an instance the private DNS name and address, the port, and the zone as a label', async () => {
    server.answer = pages([two], [one, web]);
    const run = await start({ labels: ['Name', 'missing'] });
    await until(() => run.sets.length > 0);
    assert.deepEqual(run.ids(), ['ip-10-0-0-1.ec2.internal_10.0.0.1:50001', 'ip-10-0-0-2.ec2.internal_10.0.0.2:50001']);
    assert.deepEqual({ ...run.sets[0]?.instances[0]?.labels }, { az: 'us-east-1b', Name: 'blue' });
    assert.equal(run.source.status?.().reason, null);
    const [first, second] = server.calls;
    assert.equal(first?.get('Filter.1.Name'), 'instance-state-name');
    assert.equal(first?.get('Filter.1.Value.1'), 'running');
    assert.equal(first?.get('Filter.2.Name'), 'tag:servicename');
    assert.equal(first?.get('Filter.2.Value.1'), 'api');
    assert.equal(second?.get('NextToken'), 'page-1');
  });

  it('adds a backup server for each EC2 instance after all others with server_backup_port', async () => {
    server.answer = pages([one, two]);
    const run = await start({ server_backup_port: 50002 });
    await until(() => run.sets.length > 0);
    assert.deepEqual(run.ids(), [
      'ip-10-0-0-1.ec2.internal_10.0.0.1:50001',
      'ip-10-0-0-2.ec2.internal_10.0.0.2:50001',
      'ip-10-0-0-1.ec2.internal_10.0.0.1:50002 backup',
      'ip-10-0-0-2.ec2.internal_10.0.0.2:50002 backup',
    ]);
  });

  const addresses: readonly (readonly [address: string, host: string])[] = [
    ['private', '10.0.0.1'],
    ['public', '198.51.100.1'],
    ['ipv6', '2001:db8::1'],
    ['dns', 'ip-10-0-0-1.ec2.internal'],
  ];
  for (const [address, host] of addresses) {
    it(`uses ${host} with address: ${address}, and rejects an instance without such an address`, async () => {
      server.answer = pages([one, { id: 'i-9', tags: { servicename: 'api' } }]);
      const run = await start({ address });
      await until(() => run.sets.length > 0);
      assert.deepEqual(
        run.sets[0]?.instances.map((instance) => instance.host),
        [host],
      );
      assert.deepEqual(run.sets[0]?.rejected, [{ where: 'i-9', reason: `it has no ${address} address` }]);
    });
  }

  const filters: readonly (readonly [name: string, options: object, found: readonly string[]])[] = [
    ['all tags must match', { tags: { env: 'prod' } }, ['i-1']],
    ['one of several values is enough', { tags: { env: ['prod', 'test'] } }, ['i-1', 'i-2']],
    ['* is any text', { tag_value: '*', tags: { env: 't*t' } }, ['i-2']],
    ['? is one character', { tag_value: 'ap?' }, ['i-1', 'i-2']],
    ['an escaped wildcard is itself', { tag_value: 'ap\\?' }, []],
    ['other special characters are themselves', { tag_value: 'web', tags: { role: 'front.end' } }, ['i-3']],
    ['a dot is no wildcard', { tag_value: '...' }, []],
    ['case matters', { tag_value: 'API' }, []],
  ];
  for (const [name, options, found] of filters) {
    it(`selects instances by tags: ${name}`, async () => {
      const named = (instance: FakeInstance): FakeInstance => ({ ...instance, dnsName: '' });
      server.answer = pages([named(one), named(two), named(web), { ...named(one), id: 'i-4', state: 'stopping' }]);
      const run = await start(options);
      await until(() => run.sets.length > 0);
      assert.deepEqual(
        run.sets[0]?.instances.map((instance) => instance.name),
        found,
      );
    });
  }

  it('makes one call in each poll for ten services', async () => {
    server.answer = pages([one, two, web]);
    const shared = new Shared();
    const made = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        makeSource(
          'ec2tag',
          // The second poll comes after a random part of the interval, long after the count.
          optionsOf({ tag_value: i === 0 ? 'web' : `ap${'i*'.slice(0, 1 + (i % 2))}`, check_interval: '1h' }),
          shared,
        ),
      ),
    );
    runs.push(...made.map(startSource));
    await until(() => runs.every((run) => run.sets.length > 0));
    assert.equal(server.calls.length, 1);
    assert.deepEqual(runs[0]?.ids(), ['ip-10-0-0-3.ec2.internal_10.0.0.3:50001']);
    for (const run of runs.slice(1)) assert.equal(run.ids().length, 2);
    const values = [1, 2, 3].map((i) => server.calls[0]?.get(`Filter.2.Value.${i}`));
    assert.deepEqual(values, ['api', 'api*', 'web'].sort());
  });

  it('asks for services without a common tag by the names of their tags', async () => {
    server.answer = pages([one, two, web]);
    const shared = new Shared();
    const others = { tag_name: 'role', tag_value: 'front*' };
    const made = [
      await makeSource('ec2tag', optionsOf(), shared),
      await makeSource('ec2tag', optionsOf(others), shared),
    ];
    runs.push(...made.map(startSource));
    await until(() => runs.every((run) => run.sets.length > 0));
    assert.equal(server.calls[0]?.get('Filter.2.Name'), 'tag-key');
    assert.deepEqual(runs[1]?.ids(), ['ip-10-0-0-3.ec2.internal_10.0.0.3:50001']);
  });

  it('polls at once for a service that is added later', async () => {
    server.answer = pages([one, web]);
    const shared = new Shared();
    const first = await start({ check_interval: '10m' }, shared);
    await until(() => first.sets.length > 0);
    const second = await start({ check_interval: '10m', tag_value: 'web' }, shared);
    await until(() => second.sets.length > 0);
    assert.equal(server.calls.length, 2);
    assert.equal(first.sets.length, 1);
  });

  it('stops polling with the last service', async () => {
    server.answer = pages([one]);
    const run = await start();
    await until(() => run.sets.length > 0);
    await run.stop();
    const { length } = server.calls;
    await delay(500);
    assert.ok(server.calls.length <= length + 1);
  });

  const troubles: readonly (readonly [name: string, answer: Answer, reason: RegExp])[] = [
    ['throttling', { kind: 'error', status: 503, code: 'RequestLimitExceeded' }, /RequestLimitExceeded/],
    ['expired credentials', { kind: 'error', status: 400, code: 'RequestExpired' }, /RequestExpired/],
    ['refused credentials', { kind: 'error', status: 401, code: 'AuthFailure' }, /AuthFailure/],
    ['a broken server', { kind: 'error', status: 500, code: 'InternalError' }, /InternalError/],
    ['half an answer, cut off', { kind: 'half', cut: true, instances: [one, two] }, /DescribeInstances/],
    [
      'half an answer that looks whole to HTTP',
      { kind: 'half', cut: false, instances: [one, two] },
      /DescribeInstances/,
    ],
    ['pages that repeat', { kind: 'loop' }, /the same page came twice/],
    ['an answer of another kind', { kind: 'text', text: '<html><body>Hello</body></html>' }, /no list of instances/],
    ['an empty body', { kind: 'text', text: '' }, /DescribeInstances/],
    ['a hang', { kind: 'hang' }, /no answer within 1500ms/],
  ];
  for (const [name, answer, reason] of troubles) {
    it(`${name} keeps the last set, is the reason in the status, and ends when a good answer comes`, async () => {
      server.answer = pages([one]);
      const run = await start({ timeout: answer.kind === 'hang' ? '1500ms' : '20s' });
      await until(() => run.sets.length > 0);
      server.answer = answer;
      await until(() => reason.test(run.source.status?.().reason ?? ''));
      assert.equal(run.sets.length, 1);
      server.answer = pages([one, two]);
      await until(() => run.sets.length > 1);
      assert.equal(run.source.status?.().reason, null);
      assert.equal(run.ids().length, 2);
      assert.equal(run.sets[1]?.instances[0], run.sets[0]?.instances[0], 'an equal instance is the same object');
      assert.equal(run.lines.filter(({ level }) => level === 'warn').length, 1);
    });
  }

  for (const [title, nothing] of [
    ['not given', undefined],
    ['empty', ''],
  ] as const) {
    it(`takes keys and region from the environment when they are ${title}`, async () => {
      const names = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_REGION'] as const;
      const before = names.map((name) => [name, process.env[name]] as const);
      for (const name of names) process.env[name] = name === 'AWS_REGION' ? 'eu-west-9' : 'FROMENV';
      try {
        server.answer = pages([one]);
        const run = await start({
          aws_region: nothing,
          aws_access_key_id: nothing,
          aws_secret_access_key: nothing,
          aws_session_token: nothing,
        });
        await until(() => run.sets.length > 0);
        assert.match(server.signatures[0] ?? '', /Credential=FROMENV\/\d+\/eu-west-9\/ec2\//);
      } finally {
        for (const [name, value] of before) {
          if (value === undefined) delete process.env[name];
          else process.env[name] = value;
        }
      }
    });
  }

  it('shows the secret neither in logs nor in the status', async () => {
    server.answer = { kind: 'error', status: 401, code: 'AuthFailure' };
    const run = await start({ aws_secret_access_key: 'very-secret' });
    await until(() => run.lines.length > 0);
    assert.doesNotMatch(JSON.stringify([run.lines, run.source.status?.()]), /very-secret/);
  });

  it('publishes an empty set for an empty answer', async () => {
    server.answer = pages([one]);
    const run = await start();
    await until(() => run.sets.length > 0);
    server.answer = pages([]);
    await until(() => run.sets.length > 1);
    assert.deepEqual(run.ids(), []);
  });

  const wrong: readonly (readonly [name: string, options: object, message: RegExp])[] = [
    ['no tag', { tag_name: undefined, tag_value: undefined }, /aws tag name is required/],
    ['no value', { tag_value: undefined }, /aws tag value required/],
    ['no port', { port: undefined }, /backend_port_override is missing/],
    ['half a key', { aws_secret_access_key: undefined }, /go together/],
    ['no URL', { endpoint: 'localhost' }, /must be an http/],
    ['a nested value', { tag_value: {} }, /must be a string/],
  ];
  for (const [name, options, message] of wrong) {
    it(`refuses options with ${name}`, async () => {
      await assert.rejects(makeSource('ec2tag', optionsOf(options)), message);
    });
  }
});
