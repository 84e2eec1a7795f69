import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { reasonOf } from '../../../../common/daemon/log.ts';
import { Shared } from '../../../../synapse/discovery/shared.ts';
import { makeSource, type SourceRun } from '../../../support/daemons/source-run.ts';
import { withZookeeper } from '../../../support/servers/with-zookeeper.ts';
import { openZookeeperWriter, recordOf } from '../../../support/servers/zookeeper-writer.ts';
import { until } from '../../../support/until.ts';

describe('the source zookeeper', () => {
  const zookeeper = withZookeeper();

  /** With an interval that no test lives to see, unless it says otherwise: what is seen is seen by watches. */
  const start = async (more: object = {}, shared = new Shared()): Promise<SourceRun> => {
    const { server, path } = zookeeper;
    const options = { hosts: [server.address], path, polling_interval_sec: 600, ...more };
    return zookeeper.run('zookeeper', options, shared);
  };

  it("finds nerve's nodes, and the order in which they appeared", async () => {
    await zookeeper.nerve.create(
      `${zookeeper.path}/b_`,
      recordOf('b', { weight: '1', skipGc: true }),
      'ephemeralSequential',
    );
    await zookeeper.nerve.create(`${zookeeper.path}/a_`, recordOf('a', { labels: { az: 'x' } }), 'ephemeralSequential');
    const run = await start();
    await until(() => run.sets.length > 0);
    assert.deepEqual(run.ids(), ['a_a.test:80', 'b_b.test:80']);
    assert.deepEqual(run.sets[0]?.sequence, [1, 0]);
    assert.equal(run.sets[0]?.instances[1]?.weight, 1);
    assert.equal(run.source.status?.().reason, null);
  });

  it('publishes added, changed and removed nodes', async () => {
    const run = await start();
    await until(() => run.sets.length > 0);
    assert.deepEqual(run.ids(), []);
    const a = await zookeeper.nerve.create(`${zookeeper.path}/a_`, recordOf('a'), 'ephemeralSequential');
    await until(() => run.ids().length === 1);
    const b = await zookeeper.nerve.create(`${zookeeper.path}/b_`, recordOf('b'), 'ephemeralSequential');
    await until(() => run.ids().length === 2);
    const [first] = run.sets.at(-1)?.instances ?? [];
    for (const weight of [1, 2, 3]) {
      await zookeeper.nerve.set(b, recordOf('b', { weight }));
      await until(() => run.sets.at(-1)?.instances[1]?.weight === weight);
    }
    assert.equal(run.sets.at(-1)?.instances[0], first, 'an equal instance is the same object');
    await zookeeper.nerve.remove(a);
    await until(() => run.ids().length === 1);
    await zookeeper.nerve.set(b, recordOf('b', { state: 'down' }));
    await until(() => run.sets.at(-1)?.instances[0]?.state === 'down');
    await zookeeper.nerve.remove(b);
    await until(() => run.ids().length === 0);
    assert.deepEqual(run.gone, [
      ['a_a.test:80', 'expired'],
      ['b_b.test:80', 'withdrawn'],
    ]);
  });

  it('waits discovery_jitter between lists, and ignores values over 120 s with a warning', async () => {
    const patient = await start({ discovery_jitter: 120 });
    const run = await start({ discovery_jitter: 121 });
    await until(() => run.sets.length > 0 && patient.sets.length > 0);
    await zookeeper.nerve.create(`${zookeeper.path}/a_`, recordOf('a'), 'ephemeralSequential');
    await until(() => run.ids().length === 1);
    assert.deepEqual(patient.ids(), []);
    const warnings = [run, patient].map(({ lines }) => lines.map(({ level, message }) => `${level}: ${message}`));
    assert.deepEqual(warnings, [['warn: discovery_jitter is ignored, because it is longer than 120 s'], []]);
  });

  it('finds all of a thousand nodes that are added in a burst', async () => {
    const run = await start();
    await until(() => run.sets.length > 0);
    const creating = Array.from({ length: 1000 }, (_, i) =>
      zookeeper.nerve.create(`${zookeeper.path}/n${i}`, recordOf(`n${i}`)),
    );
    await Promise.all(creating);
    await until(() => run.ids().length === 1000);
    assert.ok(run.sets.length < 1000, 'changes that come together are read together');
  });

  it('takes a record from the name of its node, and reads the data when the name is damaged', async () => {
    const encode = (text: string): string =>
      Buffer.from(text).toString('base64').replaceAll('+', '-').replaceAll('/', '_');
    const good = encode(recordOf('good', { labels: { what: '>>>???' } }));
    await zookeeper.nerve.create(
      `${zookeeper.path}/base64_${good.length}_${good}_`,
      'not read',
      'persistentSequential',
    );
    const bad = encode('{"host":');
    await zookeeper.nerve.create(
      `${zookeeper.path}/base64_${bad.length}_${bad}_`,
      recordOf('fallback'),
      'persistentSequential',
    );
    const run = await start();
    await until(() => run.sets.length > 0);
    assert.deepEqual([...run.ids()].sort(), ['fallback_fallback.test:80', 'good_good.test:80']);
  });

  it('rejects invalid nodes and uses the others', async () => {
    await zookeeper.nerve.create(`${zookeeper.path}/a_1`, 'not json');
    await zookeeper.nerve.create(`${zookeeper.path}/c_3`, '{"host":"h"}');
    await zookeeper.nerve.create(`${zookeeper.path}/d_4`, '{"host":"h","port":2}');
    const run = await start();
    await until(() => run.sets.length > 0);
    assert.deepEqual(run.ids(), ['h:2']);
    assert.deepEqual(
      run.sets[0]?.rejected.map(({ where }) => where),
      [`${zookeeper.path}/a_1`, `${zookeeper.path}/c_3`],
    );
  });

  const member = {
    additionalEndpoints: { http: { host: 'h.test', port: 31943 }, other: { host: 'h.test', port: 31944 } },
    serviceEndpoint: { host: 'h.test', port: 31943 },
    shard: 0,
    status: 'ALIVE',
  };
  const serversets: readonly (readonly [
    name: string,
    endpoint: string | undefined,
    data: object,
    ids: readonly string[],
  ])[] = [
    ['the main endpoint', undefined, member, ['0_h.test:31943']],
    ['one of the additional ones', 'other', member, ['0_h.test:31944']],
    ['an unknown endpoint', 'nope', member, []],
    ['a member that is not alive', undefined, { ...member, status: 'DEAD' }, []],
    ['a member without a shard', undefined, { serviceEndpoint: member.serviceEndpoint }, ['h.test:31943']],
  ];
  for (const [name, endpoint, data, ids] of serversets) {
    it(`reads a Finagle serverset: ${name}`, async () => {
      await zookeeper.nerve.create(`${zookeeper.path}/member_0000000001`, JSON.stringify(data));
      const run = await start({ decode: { method: 'serverset', endpoint_name: endpoint } });
      await until(() => run.sets.length > 0);
      assert.deepEqual(run.ids(), ids);
      assert.equal(run.sets[0]?.rejected.length, 1 - ids.length);
    });
  }

  it('publishes an empty set for a missing path, and its nodes once it exists', async () => {
    const run = await start({ path: `${zookeeper.path}/later` });
    await until(() => run.sets.length > 0);
    assert.deepEqual(run.ids(), []);
    await zookeeper.nerve.create(`${zookeeper.path}/later`, '');
    await zookeeper.nerve.create(`${zookeeper.path}/later/a`, recordOf('a'));
    await until(() => run.ids().length === 1);
  });

  it('removes instances when the session of their announcer expires', async () => {
    const crashing = await openZookeeperWriter(zookeeper.server.address, 2_000);
    await crashing.create(`${zookeeper.path}/a_`, recordOf('a'), 'ephemeralSequential');
    const run = await start();
    await until(() => run.ids().length === 1);
    crashing.vanish();
    await until(() => run.ids().length === 0);
    assert.deepEqual(run.gone, [['a_a.test:80', 'expired']]);
  });

  it('has the alias zookeeper_poll, with its interval', async () => {
    const { server, path } = zookeeper;
    const run = await zookeeper.run('zookeeper_poll', { hosts: server.address, path, polling_interval_sec: '1s' });
    await until(() => run.sets.length > 0);
    await zookeeper.nerve.create(`${zookeeper.path}/a`, recordOf('a'));
    await until(() => run.ids().length === 1);
  });

  const documentOf = (run: SourceRun): unknown => run.sets.at(-1)?.published?.value;
  it('publishes configuration in the node itself when it is told to, and names the problem of an invalid one', async () => {
    await zookeeper.nerve.set(zookeeper.path, '{"haproxy":{"port":1111}}');
    await zookeeper.nerve.create(`${zookeeper.path}/a`, recordOf('a'));
    const run = await start({ generator_config_path: zookeeper.path });
    await until(() => run.sets.length > 0);
    assert.deepEqual(run.ids(), ['a_a.test:80']);
    assert.deepEqual(documentOf(run), { haproxy: { port: 1111 } });
    await zookeeper.nerve.set(zookeeper.path, '{"haproxy":{"port":2222}}');
    await until(() => isDeepStrictEqual(documentOf(run), { haproxy: { port: 2222 } }));
    await zookeeper.nerve.set(zookeeper.path, 'no JSON');
    await until(() => run.sets.at(-1)?.published?.broken?.startsWith('not JSON') === true);
    assert.deepEqual(run.ids(), ['a_a.test:80']);
    await zookeeper.nerve.set(zookeeper.path, '');
    await until(() => run.sets.at(-1)?.published === undefined);
  });

  it('publishes configuration from another node, which may appear later and vanish', async () => {
    await zookeeper.nerve.set(zookeeper.path, '{"haproxy":{"port":1111}}');
    const other = `${zookeeper.path}-config`;
    const run = await start({ generator_config_path: other });
    await until(() => run.sets.length > 0);
    assert.equal(documentOf(run), undefined);
    await zookeeper.nerve.create(other, '{"haproxy":{"port":3333}}');
    await until(() => isDeepStrictEqual(documentOf(run), { haproxy: { port: 3333 } }));
    await zookeeper.nerve.remove(other);
    await until(() => documentOf(run) === undefined);
  });

  it('does not use configuration in the node unless it is told to, and says once which option does that', async () => {
    await zookeeper.nerve.set(zookeeper.path, '{"haproxy":{"port":1111}}');
    const run = await start();
    await until(() => run.sets.length > 0 && run.lines.length > 0);
    await zookeeper.nerve.set(zookeeper.path, '{"haproxy":{"port":2222}}');
    await zookeeper.nerve.create(`${zookeeper.path}/a`, recordOf('a'));
    await until(() => run.ids().length === 1);
    assert.equal(documentOf(run), undefined);
    const said = run.lines.map(({ level, message, fields }) => [level, message, fields.option]);
    const message = 'the configuration in the node of the service is not used, because an option has to turn it on';
    assert.deepEqual(said, [['warn', message, `generator_config_path: ${zookeeper.path}`]]);
  });

  for (const [title, data, more] of [
    ['has none', '', {}],
    ['has other data', 'no JSON', {}],
    ['has one, and the option is off', '{"haproxy":{}}', { generator_config_path: 'disabled' }],
  ] as const) {
    it(`says nothing about configuration when the node ${title}`, async () => {
      await zookeeper.nerve.set(zookeeper.path, data);
      const run = await start(more);
      await until(() => run.sets.length > 0);
      await zookeeper.nerve.create(`${zookeeper.path}/a`, recordOf('a'));
      await until(() => run.ids().length === 1);
      assert.equal(documentOf(run), undefined);
      assert.deepEqual(run.lines, []);
    });
  }

  it('shares a session among services on the same servers', async () => {
    const shared = new Shared();
    const first = await start({}, shared);
    await until(() => first.sets.length > 0);
    const before = await zookeeper.server.connections();
    const second = await start({ path: '/nowhere' }, shared);
    await until(() => second.sets.length > 0);
    assert.equal(await zookeeper.server.connections(), before);
    await first.stop();
    await zookeeper.nerve.create('/nowhere', '');
    await zookeeper.nerve.create('/nowhere/a', recordOf('a'));
    await until(() => second.ids().length === 1);
  });

  describe('in an outage fails with the reason, and a new run reads everything again, after', () => {
    const outages: readonly (readonly [
      name: string,
      strike: () => Promise<void> | void,
      mend: () => Promise<void> | void,
      reason: RegExp,
    ])[] = [
      [
        'the server is killed',
        () => zookeeper.server.kill(),
        () => zookeeper.server.start(),
        /ZooKeeper at .*: the connection was closed|ECONNRESET/,
      ],
      [
        'the server hangs',
        () => zookeeper.server.freeze(),
        () => zookeeper.server.thaw(),
        /ZooKeeper at .*: silent for/,
      ],
    ];
    for (const [name, strike, mend, reason] of outages) {
      it(name, async () => {
        await zookeeper.nerve.create(`${zookeeper.path}/a`, recordOf('a'));
        const run = await start({ session_timeout: '2s' });
        await until(() => run.sets.length > 0);
        await strike();
        await assert.rejects(run.done, (error) => reason.test(reasonOf(error)));
        assert.equal(run.sets.length, 1, 'nothing is published because of an outage');
        assert.notEqual(run.source.status?.().reason, null);
        await assert.rejects((await start({ session_timeout: '1s' })).done, /ZooKeeper at 127\.0\.0\.1/);
        await mend();
        await zookeeper.renewSession();
        await zookeeper.nerve.create(`${zookeeper.path}/b`, recordOf('b'));
        const again = await start({ session_timeout: '20s' });
        await until(() => again.sets.length > 0);
        assert.deepEqual(again.ids(), ['a_a.test:80', 'b_b.test:80']);
      });
    }
  });

  it('uses another host when one is down', async () => {
    await zookeeper.nerve.create(`${zookeeper.path}/a`, recordOf('a'));
    const shared = new Shared();
    const hosts = ['127.0.0.1:1', zookeeper.server.address];
    await until(async () => {
      const run = await start({ hosts }, shared);
      run.done.catch(() => {});
      return Promise.race([
        until(() => run.sets.length > 0).then(() => true),
        run.done.then(
          () => false,
          () => false,
        ),
      ]);
    });
  });

  const wrong: readonly (readonly [name: string, options: object, message: RegExp])[] = [
    ['no hosts', { hosts: undefined }, /hosts: is required/],
    ['a bad host', { hosts: ['a:b'] }, /"a:b": must be HOST:PORT/],
    ['no path', { path: undefined }, /path: is required/],
    ['another way to decode', { decode: { method: 'xml' } }, /decode\.method must be nerve or serverset/],
    ['a node of configuration that is no path', { generator_config_path: 7 }, /must be a path/],
  ];
  for (const [name, options, message] of wrong) {
    it(`refuses options with ${name}`, async () => {
      await assert.rejects(makeSource('zookeeper', { hosts: ['a'], path: '/a', ...options }), message);
    });
  }
});
