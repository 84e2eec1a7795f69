import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import {
  candidatesOf,
  createNameLookup,
  type LookUpName,
  parseHosts,
  parseSearch,
} from '../../../common/net/name-lookup.ts';
import { memoryFiles } from '../../support/machine/memory-files.ts';
import { type DnsData, type DnsServer, startDnsServer } from '../../support/servers/dns-server.ts';
import { stopClock } from '../../support/stopped-clock.ts';
import { until } from '../../support/until.ts';

const never = new AbortController().signal;

describe('the lookup of host names', () => {
  let server: DnsServer;
  let files: ReturnType<typeof memoryFiles>;
  let lookUp: LookUpName;

  beforeEach(async () => {
    server = await startDnsServer();
    files = memoryFiles();
    lookUp = createNameLookup({ files });
  });
  afterEach(() => server.close());

  const options = (more: object = {}) =>
    ({ nameservers: [server.address], timeoutMs: 5_000, prefer: 'ipv4', ...more }) as const;
  const addressesOf = async (name: string, more: object = {}): Promise<readonly string[]> =>
    (await lookUp(name, options(more), never)).addresses;

  const cases: readonly {
    readonly what: string;
    readonly zone?: Readonly<Record<string, DnsData>>;
    readonly hosts?: string;
    readonly resolvConf?: string;
    readonly name?: string;
    readonly more?: object;
    readonly finds: readonly string[] | RegExp;
    readonly asks: readonly string[];
  }[] = [
    {
      what: 'returns all addresses of a name, sorted',
      zone: { 'web.test A': [{ address: '10.0.0.2' }, { address: '10.0.0.1' }] },
      finds: ['10.0.0.1', '10.0.0.2'],
      asks: ['web.test A'],
    },
    {
      what: 'does not ask for IPv6 when a name has IPv4',
      zone: { 'web.test A': [{ address: '10.0.0.1' }], 'web.test AAAA': [{ address: '2001:db8::1' }] },
      finds: ['10.0.0.1'],
      asks: ['web.test A'],
    },
    {
      what: 'asks for IPv6 when a name has no IPv4',
      zone: { 'web.test AAAA': [{ address: '2001:db8::1' }] },
      finds: ['2001:db8::1'],
      asks: ['web.test A', 'web.test AAAA'],
    },
    {
      what: 'asks for IPv6 first where that is preferred',
      zone: { 'web.test A': [{ address: '10.0.0.1' }], 'web.test AAAA': [{ address: '2001:db8::1' }] },
      more: { prefer: 'ipv6' },
      finds: ['2001:db8::1'],
      asks: ['web.test AAAA'],
    },
    {
      what: 'follows an alias',
      zone: { 'web.test A': [{ cname: 'real.test' }, { name: 'real.test', address: '10.0.0.7' }] },
      finds: ['10.0.0.7'],
      asks: ['web.test A'],
    },
    { what: 'fails for a name that does not exist', finds: /ENOTFOUND/, asks: ['web.test A'] },
    {
      what: 'fails for a name without addresses',
      zone: { 'web.test SRV': [] },
      finds: /ENODATA/,
      asks: ['web.test A', 'web.test AAAA'],
    },
    {
      what: 'uses /etc/hosts before the DNS, whatever the letter case',
      hosts: '10.9.9.9 other.test\n10.0.0.3 real.test WEB.test # web.test\nfe80::1%eth0 web.test\n',
      finds: ['10.0.0.3'],
      asks: [],
    },
    { what: 'knows localhost without a file', name: 'localhost', finds: ['127.0.0.1'], asks: [] },
    { what: 'knows names below localhost', name: 'a.localhost', more: { prefer: 'ipv6' }, finds: ['::1'], asks: [] },
    {
      what: 'adds the search domains to a name without a dot',
      zone: { 'web.b.test A': [{ address: '10.0.0.4' }] },
      resolvConf: 'search a.test b.test\n',
      name: 'web',
      finds: ['10.0.0.4'],
      asks: ['web.a.test A', 'web.b.test A'],
    },
    {
      what: 'does not go on to another name when the answer for a name is an error',
      zone: { 'web.a.test A': 2, 'web.b.test A': [{ address: '10.0.0.4' }] },
      resolvConf: 'search a.test b.test\n',
      name: 'web',
      finds: /ESERVFAIL/,
      asks: ['web.a.test A'],
    },
    {
      what: 'takes a name with a dot at its end as it is',
      zone: { 'web A': [{ address: '10.0.0.5' }], 'web.a.test A': [{ address: '10.0.0.6' }] },
      resolvConf: 'search a.test\n',
      name: 'web.',
      finds: ['10.0.0.5'],
      asks: ['web A'],
    },
    {
      what: 'does not take numbers in other notations for addresses',
      name: '0x7f000001',
      finds: /ENOTFOUND/,
      asks: ['0x7f000001 A'],
    },
  ];
  for (const { what, zone = {}, hosts, resolvConf, name = 'web.test', more, finds, asks } of cases) {
    it(what, async () => {
      for (const [key, data] of Object.entries(zone)) server.zone.set(key, data);
      if (hosts !== undefined) await files.write('/etc/hosts', hosts, { how: 'new' });
      if (resolvConf !== undefined) await files.write('/etc/resolv.conf', resolvConf, { how: 'new' });
      if (finds instanceof RegExp) {
        await assert.rejects(addressesOf(name, more), (error: NodeJS.ErrnoException) => finds.test(String(error.code)));
      } else {
        assert.deepEqual(await addressesOf(name, more), finds);
      }
      assert.deepEqual([...new Set(server.questions)], asks);
    });
  }

  it('returns the shortest time to live, that of an alias included', async () => {
    server.zone.set('web.test A', [
      { cname: 'real.test', ttl: 7 },
      { name: 'real.test', address: '10.0.0.7', ttl: 300 },
    ]);
    assert.equal((await lookUp('web.test', options(), never)).ttlSeconds, 7);
  });

  it('asks again for each lookup, even while an earlier answer is still valid', async () => {
    server.zone.set('web.test A', [{ address: '10.0.0.1', ttl: 300 }]);
    assert.deepEqual(await addressesOf('web.test'), ['10.0.0.1']);
    server.zone.set('web.test A', [{ address: '10.0.0.2', ttl: 300 }]);
    assert.deepEqual(await addressesOf('web.test'), ['10.0.0.2']);
  });

  it('fails at its deadline when no answer comes', async () => {
    server.zone.set('web.test A', 'hang');
    await assert.rejects(addressesOf('web.test', { timeoutMs: 200 }), /web\.test.*no answer within 200 ?ms|ETIMEOUT/);
  });

  it('ends at once when its signal aborts, and other lookups go on', async () => {
    server.zone.set('web.test A', 'hang');
    let answer = (): void => {};
    const after = new Promise<void>((resolve) => {
      answer = resolve;
    });
    server.zone.set('other.test A', { after, answers: [{ address: '10.0.0.2' }] });
    const end = new AbortController();
    const hanging = lookUp('web.test', options(), end.signal);
    const other = addressesOf('other.test');
    await until(() => server.questions.length >= 2);
    end.abort(new Error('enough'));
    await assert.rejects(hanging, /enough/);
    answer();
    assert.deepEqual(await other, ['10.0.0.2']);
  });

  it('sees a changed /etc/hosts', async () => {
    await files.write('/etc/hosts', '10.0.0.1 web.test\n', { how: 'new' });
    const time = stopClock();
    try {
      assert.deepEqual(await addressesOf('web.test'), ['10.0.0.1']);
      await files.write('/etc/hosts', '10.0.0.22 web.test\n', { how: 'existing' });
      time.now += 1_000;
      assert.deepEqual(await addressesOf('web.test'), ['10.0.0.22']);
      await files.remove('/etc/hosts');
      time.now += 1_000;
      server.zone.set('web.test A', [{ address: '10.0.0.3' }]);
      assert.deepEqual(await addressesOf('web.test'), ['10.0.0.3']);
    } finally {
      time.restore();
    }
  });
});

describe('the search list', () => {
  const cases: readonly (readonly [what: string, text: string, name: string, asked: readonly string[]])[] = [
    ['is empty without the file', '', 'web', ['web']],
    ['has the domains of the last line', 'search x\nsearch a b.\n', 'web', ['web.a', 'web.b', 'web']],
    ['takes domain for search', 'domain a ; comment', 'web', ['web.a', 'web']],
    ['comes after a name with a dot', 'search a', 'web.b', ['web.b', 'web.b.a']],
    ['comes first when there are fewer dots than ndots', 'search a\noptions rotate ndots:3', 'x.y', ['x.y.a', 'x.y']],
    ['makes no name that is too long', 'search a', 'x'.repeat(252), ['x'.repeat(252)]],
    ['is not used for a complete name', 'search a', 'web.', ['web']],
  ];
  for (const [what, text, name, asked] of cases) {
    it(what, () => assert.deepEqual(candidatesOf(name, parseSearch(text)), asked));
  }
});

describe('the hosts file', () => {
  it('gives all addresses of a name, and ignores what is no address', () => {
    const text = '127.0.0.1 localhost\n::1 localhost ip6\n\n# 1.2.3.4 c\nnonsense d\n10.0.0.1\t e  F #g\n10.0.0.1 e\n';
    assert.deepEqual(
      [...parseHosts(text)],
      [
        ['localhost', ['127.0.0.1', '::1']],
        ['ip6', ['::1']],
        ['e', ['10.0.0.1']],
        ['f', ['10.0.0.1']],
      ],
    );
  });
});
