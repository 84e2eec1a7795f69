/** What every configuration for SmartStack has at its end, in JSON and in YAML. */
export const haproxy = {
  reload_command: 'service haproxy reload',
  config_file_path: '/etc/haproxy/haproxy.cfg',
  socket_file_path: '/var/haproxy/stats.sock',
  do_writes: true,
  do_reloads: true,
  do_socket: true,
  global: ['daemon', 'maxconn 4096', 'stats socket /var/haproxy/stats.sock mode 666 level admin'],
  defaults: [
    'log global',
    'mode http',
    'timeout connect 5s',
    'timeout client 1m',
    'timeout server 1m',
    'balance roundrobin',
  ],
  extra_sections: { 'listen stats :3212': ['mode http', 'stats enable', 'stats uri /', 'stats refresh 5s'] },
};
/** The section `haproxy` of a service. */
export const section = {
  port: 3213,
  server_options: 'check inter 2s rise 3 fall 2',
  listen: ['mode http', 'option httpchk GET /health', 'http-check expect string OK'],
};
/** The section `discovery` of a service. */
export const zookeeper = {
  method: 'zookeeper',
  path: '/nerve/services/api/services',
  hosts: ['zk0.example.com:2181', 'zk1.example.com:2181'],
};
const ec2tag = {
  method: 'ec2tag',
  tag_name: 'service',
  tag_value: 'api',
  aws_region: 'us-east-1',
  aws_access_key_id: 'AKIDEXAMPLE',
  aws_secret_access_key: 'EXAMPLE',
};
const defaults = [{ name: 'default1', host: 'localhost', port: 8422 }];

/** The kinds of configuration that SmartStack's documentation shows, and what they load as. */
export const smartstackExamples: readonly [title: string, config: object, methods: readonly string[]][] = [
  [
    'zookeeper with default servers',
    { services: { api: { default_servers: defaults, discovery: zookeeper, haproxy: section } } },
    ['zookeeper'],
  ],
  [
    'zookeeper with the options of later versions',
    {
      services: {
        api: {
          use_previous_backends: false,
          keep_default_servers: false,
          discovery: {
            ...zookeeper,
            generator_config_path: 'disabled',
            label_filters: [{ label: 'az', value: 'us-east-1a', condition: 'equals' }],
          },
          haproxy: { ...section, backend_order: 'no_shuffle', cookie_value_method: 'hash' },
        },
      },
      statsd: { host: 'localhost', port: 8125, sample_rate: { 'synapse.watcher.ping.count': 0.1 } },
    },
    ['zookeeper'],
  ],
  [
    'zookeeper_poll',
    {
      services: {
        api: { discovery: { ...zookeeper, method: 'zookeeper_poll', polling_interval_sec: 30 }, haproxy: section },
      },
    },
    ['zookeeper_poll'],
  ],
  [
    'zookeeper_dns',
    {
      services: {
        api: {
          discovery: { ...zookeeper, method: 'zookeeper_dns', nameserver: '127.0.0.1', check_interval: 15.0 },
          haproxy: section,
        },
      },
    },
    ['zookeeper_dns'],
  ],
  [
    'configuration in a node of its own',
    {
      services: { api: { discovery: { ...zookeeper, generator_config_path: '/config/api' }, haproxy: section } },
    },
    ['zookeeper'],
  ],
  [
    'ec2tag',
    { services: { api: { discovery: ec2tag, haproxy: { ...section, server_port_override: '8080' } } } },
    ['ec2tag'],
  ],
  [
    'dns',
    {
      services: {
        api: {
          discovery: {
            method: 'dns',
            nameserver: '127.0.0.1',
            check_interval: 10,
            servers: [{ name: 'one', host: 'localhost', port: 80 }],
          },
          haproxy: section,
        },
      },
    },
    ['dns'],
  ],
  [
    'dns with names alone, and their port beside it',
    {
      services: {
        api: {
          default_servers: defaults,
          discovery: { method: 'dns', nameserver: '127.0.0.1', servers: ['0.www.example.com', '1.www.example.com'] },
          haproxy: { ...section, server_port_override: '8080' },
        },
      },
    },
    ['dns'],
  ],
  [
    'docker',
    {
      services: {
        api: {
          discovery: {
            method: 'docker',
            servers: [{ name: 'box', host: 'localhost', port: 4243 }],
            image_name: 'me/api',
            container_port: 3000,
          },
          haproxy: section,
        },
      },
    },
    ['docker'],
  ],
  [
    'marathon',
    {
      services: {
        api: {
          discovery: { method: 'marathon', marathon_api_url: 'http://marathon:8080', application_name: 'api' },
          haproxy: section,
        },
      },
    },
    ['marathon'],
  ],
  [
    'only default servers',
    { services: { api: { default_servers: defaults, discovery: { method: 'base' }, haproxy: section } } },
    ['base'],
  ],
  [
    'multi',
    {
      services: {
        api: {
          backend_port_override: 8080,
          discovery: {
            method: 'multi',
            watchers: { primary: zookeeper, secondary: ec2tag },
            resolver: { method: 'sequential', sequential_order: ['primary', 'secondary'] },
          },
          haproxy: section,
        },
      },
    },
    ['multi'],
  ],
  [
    'discovery_multi with the resolver of the old examples',
    {
      services: {
        api: {
          discovery: zookeeper,
          discovery_multi: {
            watchers: { secondary: { ...zookeeper, path: '/other' } },
            resolver: { method: 'fallback' },
          },
          haproxy: section,
        },
      },
    },
    ['multi'],
  ],
  [
    'two registries and a toggle in S3',
    {
      services: {
        api: {
          discovery: zookeeper,
          discovery_multi: {
            watchers: { secondary: { ...zookeeper, path: '/other' } },
            resolver: { method: 's3_toggle', s3_url: 's3://config/api.yaml', s3_polling_interval_seconds: 30 },
          },
          haproxy: section,
        },
      },
    },
    ['multi'],
  ],
  [
    'a shared frontend',
    {
      services: {
        api: {
          discovery: zookeeper,
          haproxy: {
            server_options: 'check inter 2s',
            shared_frontend: ['acl is_api hdr_dom(host) -i api.lb.example.com', 'use_backend api if is_api'],
            backend: ['mode http'],
          },
        },
        web: {
          discovery: zookeeper,
          haproxy: { shared_frontend: ['acl is_web path_beg /web', 'use_backend web if is_web'] },
        },
      },
      haproxy: { ...haproxy, shared_frontend: ['bind 127.0.0.1:8081'] },
    },
    ['zookeeper', 'zookeeper'],
  ],
  [
    'files beside HAProxy',
    {
      services: { api: { discovery: zookeeper, file_output: { disabled: true } } },
      file_output: { output_directory: '/var/lib/synapse' },
    },
    ['zookeeper'],
  ],
];
