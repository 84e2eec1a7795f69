import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Problem, validate } from '../../../../common/config/config.ts';
import {
  checkEtcdOptions,
  etcdSchema,
  parseHosts,
  plaintextWarning,
  readEtcdSection,
} from '../../../../common/etcd/client/options.ts';

describe('the addresses of etcd', () => {
  const good: readonly [name: string, value: unknown, urls: readonly string[]][] = [
    [
      'a list of addresses',
      ['http://10.0.0.1:2379', 'http://10.0.0.2:2379'],
      ['http://10.0.0.1:2379', 'http://10.0.0.2:2379'],
    ],
    ['one string with commas', '10.0.0.1:1, 10.0.0.2:2,', ['http://10.0.0.1:1', 'http://10.0.0.2:2']],
    ['no port: 2379', 'etcd.example', ['http://etcd.example:2379']],
    ['https', 'https://etcd.example', ['https://etcd.example:2379']],
    ['an IPv6 address', 'http://[::1]:2379', ['http://[::1]:2379']],
    ['the same twice', ['A:1', 'http://a:1/'], ['http://a:1']],
  ];
  for (const [name, value, urls] of good) {
    it(`can be ${name}`, () => {
      assert.deepEqual(
        parseHosts(value).map((host) => host.url),
        urls,
      );
    });
  }

  const bad: readonly [name: string, value: unknown, message: RegExp][] = [
    ['nothing', '', /at least one address/],
    ['a number', 2379, /must be a list/],
    ['a list of numbers', [2379], /2379 must be a string/],
    ['another scheme', 'ftp://a', /"ftp:\/\/a" is not an address; allowed is/],
    ['a path', 'http://a:1/v3', /not an address/],
    ['a user', 'http://me:secret@a:1', /not an address/],
    ['a port above 65535', 'a:70000', /port/],
    ['a mistyped address', '10.0.0.256', /neither an IP address nor a host name/],
  ];
  for (const [name, value, message] of bad) {
    it(`cannot be ${name}`, () => {
      assert.throws(() => parseHosts(value), { message });
    });
  }

  it('become the targets that gRPC dials', () => {
    const targets = parseHosts(['https://etcd.example', '[::1]:1']).map(({ target, secure }) => [target, secure]);
    assert.deepEqual(targets, [
      ['dns:etcd.example:2379', true],
      ['ipv6:[::1]:1', false],
    ]);
  });
});

describe('the etcd section', () => {
  const check = (value: unknown) => {
    const problems: Problem[] = [];
    const options = validate(etcdSchema, value, { path: 'etcd', problems });
    return { options, problems: problems.map(({ path, message }) => `${path}: ${message}`) };
  };

  it('has a default for every option', () => {
    const { options, problems } = check({});
    assert.deepEqual(problems, []);
    assert.deepEqual(options.hosts, ['http://127.0.0.1:2379']);
    assert.equal(checkEtcdOptions(options).length, 1);
  });

  it('brings the hosts into normal form', () => {
    assert.deepEqual(check({ hosts: 'a,https://b:1' }).options.hosts, ['http://a:2379', 'https://b:1']);
  });

  it('ignores TLS files that are empty because a variable is not set', () => {
    assert.equal(check({ tls: { ca: '', cert: '', key: '' } }).options.tls, null);
    assert.deepEqual(check({ tls: { ca: 'ca.pem', cert: '', key: '' } }).options.tls, { ca: 'ca.pem' });
    assert.match(check({ tls: { cert: 'a.pem', key: '' } }).problems.join(), /cert and key must be given together/);
  });

  it('reports every problem at its key, without the password', () => {
    const { problems } = check({ hosts: ['ftp://x'], tls: { cert: 'a.pem' }, password: 271828, usrname: 'nerve' });
    assert.equal(problems.length, 4);
    assert.match(problems.join('\n'), /etcd\.hosts: "ftp:\/\/x" is not an address/);
    assert.match(problems.join('\n'), /etcd\.tls: .*cert and key must be given together/);
    assert.match(problems.join('\n'), /etcd\.usrname: unknown key; did you mean username\?/);
    assert.ok(!problems.some((problem) => problem.includes('271828')));
  });

  const contradictions = [
    ['a user without a password', { hosts: ['a'], username: 'nerve' }, /^username: "nerve" needs a password/],
    [
      'a password and a password file together',
      { hosts: ['a'], username: 'nerve', password: 'secret', password_file: '/etc/nerve/password' },
      /^password_file: set only one of password and password_file$/,
    ],
    [
      'TLS files and no https address',
      { hosts: ['a'], tls: { ca: 'ca.pem' } },
      /no address of hosts starts with https/,
    ],
  ] as const;
  for (const [name, options, message] of contradictions) {
    it(`refuses ${name}`, () => {
      assert.throws(() => checkEtcdOptions(options), { message });
    });
  }
});

describe('a password for etcd', () => {
  const secret = { username: 'nerve', password: 'hunter2' };
  for (const [what, options, warned] of [
    [
      'over http:// to another host',
      { ...secret, hosts: ['http://10.0.0.1:2379', '10.0.0.2'] },
      'http://10.0.0.1:2379, http://10.0.0.2:2379',
    ],
    [
      'over http:// to one of several hosts',
      { ...secret, hosts: ['https://10.0.0.1', 'http://etcd-2'] },
      'http://etcd-2:2379',
    ],
    ['from a file', { hosts: ['etcd-1'], username: 'nerve', password_file: '/etc/password' }, 'http://etcd-1:2379'],
    ['over https://', { ...secret, hosts: ['https://10.0.0.1'] }, null],
    ['to loopback', { ...secret, hosts: ['localhost', '127.9.9.9', 'http://[::1]:2379'] }, null],
    ['to a name that begins like loopback', { ...secret, hosts: ['127.evil.example'] }, 'http://127.evil.example:2379'],
    ['that is not there', { hosts: ['10.0.0.1'] }, null],
  ] as const) {
    it(`${warned === null ? 'needs no warning' : 'gets a warning'} ${what}`, () => {
      const expected =
        warned === null ? null : `the password goes over the network without encryption to ${warned}; use https://`;
      assert.equal(plaintextWarning(options), expected);
      const problems: Problem[] = [];
      readEtcdSection({ ...options }, problems);
      const found = expected === null ? [] : [{ path: 'etcd.hosts', message: expected, severity: 'warning' }];
      assert.deepEqual(problems, found);
    });
  }
});
