import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { makeSource, runSource, type SourceRun } from '../../../support/daemons/source-run.ts';
import { type DnsData, type DnsServer, startDnsServer } from '../../../support/servers/dns-server.ts';
import { until } from '../../../support/until.ts';

describe('the source dns', () => {
  let server: DnsServer;
  let runs: SourceRun[];

  beforeEach(async () => {
    server = await startDnsServer();
    runs = [];
  });
  afterEach(async () => {
    await Promise.all(runs.map((run) => run.stop()));
    await server.close();
  });

  const start = async (more: object): Promise<SourceRun> => {
    const options = { nameserver: server.address, check_interval: '100ms', timeout: '5s', ...more };
    const run = await runSource('dns', options);
    runs.push(run);
    return run;
  };
  const zone = (records: Readonly<Record<string, DnsData>>): void => {
    for (const [key, data] of Object.entries(records)) server.zone.set(key, data);
  };

  it('makes an instance of each address of a name, IPv4 and IPv6, in a stable order', async () => {
    zone({
      'api.test A': [{ address: '10.0.0.2' }, { address: '10.0.0.1' }, { address: '10.0.0.1' }],
      'api.test AAAA': [{ address: '2001:db8::1' }],
    });
    const run = await start({ host: 'api.test', port: 80 });
    await until(() => run.sets.length > 0);
    assert.deepEqual(run.ids(), ['api.test_10.0.0.1:80', 'api.test_10.0.0.2:80', 'api.test_2001:db8::1:80']);
    assert.equal(run.source.status?.().reason, null);
  });

  const families: readonly (readonly [record: string, ids: readonly string[]])[] = [
    ['a', ['api.test_10.0.0.1:80']],
    ['aaaa', ['api.test_2001:db8::1:80']],
  ];
  for (const [record, ids] of families) {
    it(`asks for no other records with record: ${record}`, async () => {
      zone({ 'api.test A': [{ address: '10.0.0.1' }], 'api.test AAAA': [{ address: '2001:db8::1' }] });
      const run = await start({ host: 'api.test', port: 80, record });
      await until(() => run.sets.length > 0);
      assert.deepEqual(run.ids(), ids);
      assert.deepEqual([...new Set(server.questions)], [`api.test ${record.toUpperCase()}`]);
    });
  }

  it('finds names of /etc/hosts where no name server is configured, and asks a configured one for all names', async () => {
    zone({ 'localhost A': [{ address: '10.0.0.9' }] });
    const [own, asked] = [
      await start({ host: 'localhost', port: 80, record: 'a', nameserver: [] }),
      await start({ host: 'localhost', port: 80, record: 'a' }),
    ];
    await until(() => own.sets.length > 0 && asked.sets.length > 0);
    assert.deepEqual(own.ids(), ['localhost_127.0.0.1:80']);
    assert.ok(server.questions.includes('localhost A'));
  });

  it('uses the names, ports and labels of servers, and does not look up addresses', async () => {
    zone({ 'one.test A': [{ address: '127.0.0.2' }] });
    const run = await start({
      servers: [
        { name: 'one', host: 'one.test', port: '81', labels: { az: 'a' } },
        { name: 'two', host: '127.0.0.1', port: 82 },
        { host: '::1' },
      ],
      port: 80,
    });
    await until(() => run.sets.length > 0);
    assert.deepEqual(run.ids(), ['one_127.0.0.2:81', 'two_127.0.0.1:82', '::1_::1:80']);
    assert.deepEqual({ ...run.sets[0]?.instances[0]?.labels }, { az: 'a' });
    assert.ok(server.questions.every((question) => question.startsWith('one.test ')));
  });

  it('uses ports and weights of SRV records, and makes backups of targets with a worse priority', async () => {
    zone({
      '_api._tcp.test SRV': [
        { target: 'b.test', port: 8002, priority: 10, weight: 3 },
        { target: 'a.test', port: 8001, priority: 10, weight: 0 },
        { target: 'c.test', port: 8003, priority: 20, weight: 3 },
      ],
      'a.test A': [{ address: '10.0.0.1' }],
      'b.test A': [{ address: '10.0.0.2' }],
      'c.test AAAA': [{ address: '2001:db8::3' }],
    });
    const run = await start({ host: '_api._tcp.test', record: 'srv' });
    await until(() => run.sets.length > 0);
    assert.deepEqual(run.ids(), ['a.test_10.0.0.1:8001', 'b.test_10.0.0.2:8002', 'c.test_2001:db8::3:8003 backup']);
    assert.deepEqual(
      run.sets[0]?.instances.map(({ weight }) => weight),
      [1, 3, 3],
    );
  });

  it('scales large SRV weights to the range of HAProxy, and ignores them when all are zero', async () => {
    zone({
      'large.test SRV': [
        { target: 'a.test', port: 1, weight: 50000 },
        { target: 'a.test', port: 2, weight: 25000 },
        { target: 'a.test', port: 3, weight: 1 },
      ],
      'none.test SRV': [{ target: 'a.test', port: 1 }],
      'a.test A': [{ address: '10.0.0.1' }],
    });
    const large = await start({ host: 'large.test', record: 'srv' });
    const none = await start({ host: 'none.test', record: 'srv' });
    await until(() => large.sets.length > 0 && none.sets.length > 0);
    const weights = [large, none].map((run) => run.sets[0]?.instances.map(({ weight }) => weight));
    assert.deepEqual(weights, [[256, 128, 1], [undefined]]);
  });

  it('publishes a change, but not an answer in another order', async () => {
    zone({
      'api.test A': [
        { address: '10.0.0.1', ttl: 0 },
        { address: '10.0.0.2', ttl: 0 },
      ],
    });
    const run = await start({ host: 'api.test', port: 80, check_interval: '50ms' });
    await until(() => run.sets.length > 0);
    zone({
      'api.test A': [
        { address: '10.0.0.2', ttl: 0 },
        { address: '10.0.0.1', ttl: 0 },
      ],
    });
    const { length } = server.questions;
    await until(() => server.questions.length > length + 8);
    assert.equal(run.sets.length, 1);
    zone({ 'api.test A': [{ address: '10.0.0.2', ttl: 0 }] });
    await until(() => run.sets.length > 1);
    assert.equal(run.sets[1]?.instances[0], run.sets[0]?.instances[1], 'an equal instance is the same object');
    assert.deepEqual(run.gone, [['api.test_10.0.0.1:80', 'withdrawn']]);
  });

  it('looks up a record again when its time to live ends, long before the interval', async () => {
    zone({ 'api.test A': [{ address: '10.0.0.1', ttl: 1 }] });
    const run = await start({ host: 'api.test', port: 80, check_interval: '10m' });
    await until(() => run.sets.length > 0);
    zone({ 'api.test A': [{ address: '10.0.0.2', ttl: 1 }] });
    await until(() => run.sets.length > 1);
    assert.deepEqual(run.ids(), ['api.test_10.0.0.2:80']);
  });

  const troubles: readonly (readonly [name: string, data: DnsData, reason: RegExp])[] = [
    ['SERVFAIL', 2, /ESERVFAIL/],
    ['REFUSED', 5, /EREFUSED/],
    ['NXDOMAIN', 3, /ENOTFOUND/],
    ['an empty answer', [], /has no address/],
    ['a hang', 'hang', /ETIMEOUT|no answer within/],
  ];
  for (const [name, data, reason] of troubles) {
    it(`${name} keeps the last set, is the reason in the status, and ends when a good answer comes`, async () => {
      const good = { 'api.test A': [{ address: '10.0.0.1' }], 'other.test A': [{ address: '10.0.0.9' }] };
      zone(good);
      const run = await start({
        servers: [{ host: 'api.test' }, { host: 'other.test' }],
        port: 80,
        record: 'a',
        timeout: '600ms',
      });
      await until(() => run.sets.length > 0);
      zone({ 'api.test A': data });
      await until(() => reason.test(run.source.status?.().reason ?? ''));
      assert.equal(run.sets.length, 1);
      zone({ 'api.test A': [{ address: '10.0.0.2' }] });
      await until(() => run.sets.length > 1);
      assert.deepEqual(run.ids(), ['api.test_10.0.0.2:80', 'other.test_10.0.0.9:80']);
      assert.equal(run.source.status?.().reason, null);
    });
  }

  it('publishes nothing while one of the names has never been resolved', async () => {
    zone({ 'api.test A': [{ address: '10.0.0.1' }], 'broken.test A': 2 });
    const run = await start({ servers: [{ host: 'api.test' }, { host: 'broken.test' }], port: 80 });
    await until(() => /broken\.test/.test(run.source.status?.().reason ?? ''));
    assert.deepEqual(run.sets, []);
  });

  const empties: readonly (readonly [name: string, record: string, gone: Readonly<Record<string, DnsData>>])[] = [
    ['NXDOMAIN', 'address', { 'api.test A': 3, 'api.test AAAA': 3 }],
    ['no such records', 'address', { 'api.test A': [], 'api.test AAAA': [] }],
    ['an SRV record that says there is no service', 'srv', { 'api.test SRV': [{ target: '' }] }],
  ];
  for (const [name, record, gone] of empties) {
    it(`publishes an empty set for ${name} with nxdomain: empty`, async () => {
      zone({ 'api.test A': [{ address: '10.0.0.1' }], 'api.test SRV': [{ target: 'api.test', port: 80 }] });
      const run = await start({ host: 'api.test', port: 80, record, nxdomain: 'empty' });
      await until(() => run.ids().length === 1);
      zone(gone);
      await until(() => run.sets.length > 1);
      assert.deepEqual(run.ids(), []);
    });
  }

  it('keeps the last set after a failure with nxdomain: empty', async () => {
    zone({ 'api.test A': [{ address: '10.0.0.1' }] });
    const run = await start({ host: 'api.test', port: 80, nxdomain: 'empty' });
    await until(() => run.sets.length > 0);
    zone({ 'api.test A': 2 });
    await until(() => run.source.status?.().reason?.includes('ESERVFAIL'));
    assert.equal(run.sets.length, 1);
  });

  const wrong: readonly (readonly [name: string, options: object, message: RegExp])[] = [
    ['no name', {}, /a non-empty list of servers is required/],
    ['both forms', { host: 'a', servers: [{ host: 'b', port: 1 }] }, /set only one of them/],
    ['no port', { host: 'a' }, /port: is required for a/],
    ['a bad port', { servers: [{ host: 'a', port: 70000 }] }, /entry 0: port must be/],
    ['a bad host', { servers: [{ host: 'a b', port: 1 }] }, /entry 0: host must be/],
    ['an unknown key', { servers: [{ host: 'a', prot: 1 }] }, /entry 0: unknown key prot/],
    ['a bad label', { servers: [{ host: 'a', port: 1, labels: { a: 1 } }] }, /must be a string/],
    ['a name server by name', { host: 'a', port: 1, nameserver: 'ns.test' }, /must be addresses of name servers/],
    ['SRV of an address', { host: '10.0.0.1', record: 'srv' }, /has no SRV records/],
  ];
  for (const [name, options, message] of wrong) {
    it(`refuses options with ${name}`, async () => {
      await assert.rejects(makeSource('dns', options), message);
    });
  }
});
