/**
 * A configuration of nerve that is refused: a sentence, the configuration, each problem, and, where the JSON Schema cannot see
 * the mistake, the reason.
 */
export type NerveMistake = readonly [
  sentence: string,
  value: object,
  problems: readonly (string | RegExp)[],
  beyondSchema?: string,
];

/** One of each kind. */
export const nerveMistakes: readonly NerveMistake[] = [
  ['services that are a list', { services: [] }, ['services: must be an object of services by name']],
  ['a service that is not an object', { services: { api: 5 } }, ['services.api: must be an object of options, not 5']],
  [
    'a service without an address',
    { services: { api: {} } },
    [/services\.api\.host: is required/, /services\.api\.port: is required/],
  ],
  [
    'an instance_id that cannot be part of a key',
    { instance_id: 'a/b' },
    [/instance_id: must be a string of up to 128 .*not "a\/b"/],
  ],
  ['a ttl below two seconds', { ttl: 1 }, ['ttl: must be a time from 2s to 1h, not 1']],
  [
    'ZooKeeper',
    { services: { a: { host: 'a', port: 1, reporter_type: 'zookeeper' } } },
    ['services.a.reporter_type: must be etcd: announcing in ZooKeeper is not supported, not "zookeeper"'],
  ],
  [
    'wrong weights',
    { services: { a: { host: 'a', port: 1, weight: -1 }, b: { host: 'a', port: 2, weight: null } } },
    [/services\.a\.weight: .*not -1/, /services\.b\.weight: .*not null/],
  ],
  [
    'an unknown check, with the nearest',
    { services: { a: { host: 'a', port: 1, checks: [{ type: 'htp' }] } } },
    [/services\.a\.checks\[0\]\.type: unknown check type "htp"; did you mean http\?/],
  ],
  [
    'a check without a type',
    { services: { a: { host: 'a', port: 1, checks: [{ uri: '/' }] } } },
    [/services\.a\.checks\[0\]\.type: is required/],
  ],
  [
    'a check that is a string',
    { services: { a: { host: 'a', port: 1, checks: ['tcp'] } } },
    ['services.a.checks[0]: must be an object of options, such as {type: tcp}, not "tcp"'],
  ],
  [
    'a host with a scheme, a port or both',
    {
      services: {
        a: { host: 'http://10.0.0.1', port: 1 },
        b: { host: '10.0.0.1:80', port: 1 },
        c: { host: 'http://[::1]:80/x', port: 1 },
        d: { host: '10.0.0.256', port: 1 },
      },
    },
    [
      'services.a.host: must be an IP address or a host name alone, such as 10.0.0.1, not "http://10.0.0.1"',
      'services.b.host: must be an IP address or a host name alone, such as 10.0.0.1, not "10.0.0.1:80"',
      'services.c.host: must be an IP address or a host name alone, such as ::1, not "http://[::1]:80/x"',
      'services.d.host: must be an IP address or a host name, not "10.0.0.256"',
    ],
  ],
  [
    'a command that is text',
    { services: { a: { host: 'a', port: 1, checks: [{ type: 'exec', command: 'curl x' }] } } },
    [/checks\[0\]\.command: must be a list of strings, .*such as \["\/bin\/sh", "-c", "…"\], not "curl x"$/],
  ],
  [
    'checks that are an object',
    { services: { a: { host: 'a', port: 1, checks: { type: 'tcp' } } } },
    [/services\.a\.checks: must be a list of checks/],
  ],
  [
    'a check without what it needs',
    { services: { a: { host: 'a', port: 1, checks: [{ type: 'http' }] } } },
    [/services\.a\.checks\[0\]\.uri: is required: must be a path/],
  ],
  [
    'rise and fall of 0',
    { services: { a: { host: 'a', port: 1, checks: [{ type: 'tcp', rise: 0, fall: 0 }] } } },
    [/checks\[0\]\.rise: must be a whole number, 1 or more, not 0/, /checks\[0\]\.fall/],
  ],
  [
    'unknown keys, and names the nearest known one',
    { servces: {}, services: { a: { host: 'a', port: 1, check_intervall: 1, checks: [{ type: 'tcp', uri: '/' }] } } },
    [
      'servces: unknown key; did you mean services?',
      'services.a.check_intervall: unknown key; did you mean check_interval?',
      /services\.a\.checks\[0\]\.uri: unknown key; known are/,
    ],
  ],
  [
    'two services under one key',
    {
      instance_id: 'i',
      services: { a: { host: 'a', port: 1, etcd_path: '/x' }, b: { host: 'a', port: 1, etcd_path: '/x/' } },
    },
    ['services.b: would be announced under the same key as services.a: /x/i_a:1'],
    'needs the values of two services',
  ],
  [
    'a name that no key can have',
    { services: { 'a b': { host: 'a', port: 1 } } },
    ['services["a b"]: "a b" cannot be part of a key; set etcd_path or choose another name'],
  ],
  [
    'a shutdown that both keeps and drains',
    { shutdown: { keep: true, drain: 5 } },
    ['shutdown: keep and drain exclude each other: with keep the instances go on taking traffic'],
  ],
  [
    'a name that an instance has already',
    {
      services: {
        api: { host: 'a', instances: [{ port: 1 }] },
        'api:1': { host: 'b', port: 1, etcd_path: '/x' },
      },
    },
    ['services["api:1"]: api:1 is also the name of an instance of services.api'],
    'needs the values of two services',
  ],
  ['an etcd user without a password', { etcd: { username: 'u' } }, [/etcd\.username: "u" needs a password/]],
  ['etcd addresses of another scheme', { etcd: { hosts: ['ftp://x'] } }, [/etcd\.hosts: /]],
  [
    'an admin address that is not HOST:PORT',
    { admin: { listen: 'x' } },
    ['admin.listen: must be HOST:PORT, or false for none, not "x"'],
  ],
  [
    'server options with a newline',
    { services: { a: { host: 'a', port: 1, haproxy_server_options: 'x\ny' } } },
    [/services\.a: haproxy_server_options/],
  ],
];
