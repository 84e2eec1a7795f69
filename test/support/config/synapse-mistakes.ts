/**
 * A configuration of synapse that is refused: a title, the configuration without its section `haproxy`, each problem, and, where
 * the JSON Schema cannot see the mistake, the reason.
 */
export type SynapseMistake = readonly [
  title: string,
  value: object,
  problems: readonly RegExp[],
  beyondSchema?: string,
];

/** The smallest `haproxy` section that is valid. */
export const noHaproxy = { global: [], defaults: [], do_writes: false, do_socket: false, do_reloads: false };

const service = (more: object = {}, discovery: object = {}) => ({
  services: { api: { discovery: { method: 'etcd', ...discovery }, ...more } },
});

/** One of each kind. */
export const synapseMistakes: readonly SynapseMistake[] = [
  ['a misspelled key at the top', { servces: {} }, [/^servces: unknown key; did you mean services\?$/]],
  ['a misspelled key of a service', service({ keep_default_server: true }), [/did you mean keep_default_servers\?$/]],
  ['a misspelled option of a method', service({}, { pth: '/x' }), [/^services\.api\.discovery\.pth: .*path\?$/]],
  ['a service without discovery', { services: { api: {} } }, [/^services\.api\.discovery: is required/]],
  ['discovery without a method', { services: { api: { discovery: {} } } }, [/discovery\.method: is required/]],
  [
    'an unknown method',
    service({}, { method: 'zookeper' }),
    [/^services\.api\.discovery\.method: unknown discovery method "zookeper"; did you mean zookeeper\?$/],
  ],
  ['a method that is a path', service({}, { method: '../synapse' }), [/unknown discovery method/]],
  [
    'a port override with letters',
    service({ backend_port_override: '80deadbeef' }),
    [/backend_port_override: must be a/],
  ],
  [
    'an older port override with letters',
    service({ haproxy: { server_port_override: '80deadbeef' } }),
    [/^services\.api\.haproxy\.server_port_override: must be a port/],
  ],
  [
    'an unknown filter condition',
    service({}, { label_filters: [{ label: 'a', value: 'b', condition: 'equal' }] }),
    [
      /^services\.api\.discovery\.label_filters\[0\]\.condition: must be one of "equals", "not-equals", "in", .*, not "equal"$/,
    ],
  ],
  [
    'a filter without a condition',
    service({}, { label_filter: { label: 'a', value: 'b' } }),
    [/^services\.api\.discovery\.label_filter\.condition: is required/],
  ],
  ...(
    [
      ['a filter without a value', { condition: 'equals' }, /value: is required: equals takes a string$/],
      ['in without a list', { condition: 'in', value: 'a' }, /value: is required: in takes a list of strings$/],
      ['not-in with an empty list', { condition: 'not-in', value: [] }, /value: is required: not-in takes a list/],
      ['equals with a list', { condition: 'equals', value: ['a'] }, /value: is required: equals takes a string$/],
      ['exists with a value', { condition: 'exists', value: 'a' }, /value: exists takes no value$/],
      [
        'a broken expression',
        { condition: 'matches', value: '(' },
        /value: Invalid regular expression/,
        'needs the parser of regular expressions',
      ],
      ['a value that is a number', { condition: 'equals', value: 1 }, /value: must be a string, or a list of strings/],
    ] as readonly [string, object, RegExp, string?][]
  ).map(([title, filter, problem, beyond]): SynapseMistake => {
    const value = service({}, { label_filters: [{ label: 'a', ...filter }] });
    return beyond === undefined ? [title, value, [problem]] : [title, value, [problem], beyond];
  }),
  [
    'a preference without a value',
    service({ prefer: { label: 'az' } }),
    [/^services\.api\.prefer\.value: is required/],
  ],
  [
    'a minimum in percent',
    service({ prefer: { label: 'az', value: 'a', minimum: 20 } }),
    [/^services\.api\.prefer\.minimum: must be a share/],
  ],
  ['a share that is none', service({ expiry_guard: 2 }), [/^services\.api\.expiry_guard: must be a share/]],
  [
    'a network of all instances that is none',
    { instance_networks: ['10.0.0.0/8', '10.0.0.0/33'], ...service({}) },
    [/^instance_networks: "10\.0\.0\.0\/33" is no network: write ADDRESS\/LENGTH/],
  ],
  [
    'a network of the instances of a service that is none',
    service({ instance_networks: ['web.test'] }),
    [/^services\.api\.instance_networks: "web\.test" is no network/],
  ],
  [
    "a default server that is the service's own frontend",
    service({ default_servers: [{ host: 'localhost', port: 3213 }], haproxy: { port: 3213 } }),
    [
      /^services\.api\.default_servers: localhost and port 3213 are those of the frontend of api on this host: that would/,
    ],
    'needs the values of two sections',
  ],
  [
    'a default server that is the admin address of synapse',
    service({ default_servers: [{ host: '::ffff:127.0.0.1', port: 3211 }] }),
    [/^services\.api\.default_servers: .* and port 3211 are those of the admin address of synapse/],
    'needs a default, and other spellings of an address',
  ],
  [
    'a name server that is no address',
    { dns: { nameserver: 'ns.test', prefer: 'ipv5' }, ...service({}) },
    [/^dns\.nameserver: must be addresses of name servers/, /^dns\.prefer: must be one of "ipv4", "ipv6"/],
  ],
  ['filters that are no list', service({}, { label_filters: {} }), [/label_filters: must be a list/]],
  ['a filter that is no object', service({}, { label_filters: ['a'] }), [/label_filters\[0\]: must be an object/]],
  [
    'a default server without a port',
    service({ default_servers: [{ host: 'h', port: 1 }, { host: 'h' }] }),
    [/^services\.api\.default_servers: entry 1: port/],
  ],
  ['services that are a list', { services: [] }, [/^services: must be an object/]],
  ['a service that is a string', { services: { api: 'x' } }, [/^services\.api: must be an object/]],
  [
    'a service name with a space',
    { services: { 'a b': service().services.api } },
    [/^services\["a b"\]: a service name/],
  ],
  [
    'several sources without a resolver',
    service({ discovery_multi: {} }),
    [/^services\.api\.discovery_multi\.resolver: is required: resolver not defined/],
  ],
  [
    'several sources of another method',
    service({ discovery_multi: { method: 'bogus', resolver: { method: 'union' } } }),
    [/^services\.api\.discovery_multi\.method: must be multi/],
  ],
  [
    'several sources, one of them wrong',
    service({ discovery_multi: { watchers: { other: { method: 'dsn' } }, resolver: { method: 'union' } } }),
    [/^services\.api\.discovery_multi\.watchers\.other\.method: unknown discovery method "dsn"/],
  ],
  [
    'a wrong primary source beside others, where it stands',
    service({ discovery_multi: { resolver: { method: 'union' } } }, { pth: '/x' }),
    [/^services\.api\.discovery\.pth: unknown key/],
  ],
  [
    'multi without sources',
    service({}, { method: 'multi', resolver: { method: 'union' } }),
    [/^services\.api\.discovery\.watchers: is required: watchers not defined/],
  ],
  [
    'multi with no sources',
    service({}, { method: 'multi', watchers: {}, resolver: { method: 'union' } }),
    [/^services\.api\.discovery\.watchers: watcher config is empty/],
  ],
  [
    'multi with a source without a method',
    service({}, { method: 'multi', watchers: { a: {} }, resolver: { method: 'union' } }),
    [/^services\.api\.discovery\.watchers\.a\.method: is required/],
  ],
  [
    'an unknown resolver',
    service({}, { method: 'multi', watchers: { a: { method: 'static' } }, resolver: { method: 's4_toggle' } }),
    [/^services\.api\.discovery\.resolver: unknown resolver "s4_toggle"; did you mean s3_toggle\?$/],
  ],
  [
    'an order with a source that is not there',
    service(
      {},
      {
        method: 'multi',
        watchers: { a: { method: 'static' } },
        resolver: { method: 'sequential', sequential_order: ['a', 'b'] },
      },
    ),
    [/^services\.api\.discovery\.resolver: sequential_order has unknown watcher: b$/],
    'needs the names of other keys',
  ],
  [
    'a fallback with an unknown option',
    service({}, { fallback: { method: 'static', server: [] } }),
    [/^services\.api\.discovery\.fallback\.server: .*did you mean servers\?$/],
  ],
  [
    'a fallback after no time at all',
    service({}, { fallback: { method: 'static', after: 'soon' } }),
    [/^services\.api\.discovery\.fallback\.after: /],
  ],
  ['a fallback that is a string', service({}, { fallback: 'static' }), [/^services\.api\.discovery\.fallback: must/]],
  [
    'a module that is no absolute path',
    service({}, { method: 'mine', module: './mine.js' }),
    [/^services\.api\.discovery\.module: module: must be the absolute path/],
  ],
  [
    'a module that is not there',
    service({}, { method: 'mine', module: '/nowhere/mine.js' }),
    [/^services\.api\.discovery\.module: module \/nowhere\/mine\.js: cannot be loaded/],
    'needs the files of the host',
  ],
  ['file output without a folder', { file_output: {} }, [/^file_output\.output_directory: is required/]],
  ['file output that is a string', { file_output: '/tmp' }, [/^file_output: must be an object/]],
  ['an etcd host that is none', { etcd: { hosts: 'http://a b' } }, [/^etcd\.hosts: /]],
  ['hosts and host together', service({}, { hosts: 'a', host: 'b' }), [/^services\.api\.discovery: hosts and host/]],
  [
    'a user without a password',
    service({}, { username: 'u' }),
    [/^services\.api\.discovery: .*password/],
    'the password may stand in the section etcd',
  ],
  ['an admin address that is none', { admin: { listen: 'everywhere' } }, [/^admin\.listen: must be HOST:PORT/]],
  [
    'several things at once',
    { initial_wait: 'soon', ...service({ leader_election: 'perhaps' }, { path: 7 }) },
    [/^initial_wait: /, /^services\.api\.leader_election: /, /^services\.api\.discovery\.path: /],
  ],
];
