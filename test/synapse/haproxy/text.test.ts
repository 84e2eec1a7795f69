import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import type { InstanceFields } from '../../../common/instance.ts';
import { fileText, plainConfig, serviceText, type TextService } from '../../support/haproxy/haproxy-text.ts';

const somehost = { host: 'somehost', port: 5555 };

/** SmartStack's cases: one backend's server lines. */
const lines: readonly {
  readonly what: string;
  readonly config: Record<string, unknown>;
  readonly top?: Record<string, unknown>;
  readonly instances: TextService['instances'];
  readonly text: readonly string[];
}[] = [
  {
    what: 'a server has its id, a cookie and the options',
    config: { server_options: 'check inter 2000 rise 3 fall 2' },
    instances: [somehost],
    text: ['server somehost:5555 somehost:5555 id 1 cookie somehost:5555 check inter 2000 rise 3 fall 2'],
  },
  {
    what: 'TCP has no cookie',
    config: { server_options: 'check', listen: ['mode  tcp'] },
    instances: [somehost],
    text: ['mode  tcp', 'server somehost:5555 somehost:5555 id 1 check'],
  },
  {
    what: 'an id among the options of the record takes the place of ours',
    config: { server_options: 'check inter 2000 rise 3 fall 2' },
    instances: [{ ...somehost, serverOptions: 'id 12 backup' }],
    text: ['server somehost:5555 somehost:5555 id 12 cookie somehost:5555 check inter 2000 rise 3 fall 2 backup'],
  },
  {
    what: 'the second server with the same explicit id gets one of ours',
    config: { server_options: 'check', backend_order: 'no_shuffle' },
    instances: [
      { host: 'a', port: 1, serverOptions: 'id 12' },
      { host: 'b', port: 1, serverOptions: 'id 12 backup' },
    ],
    text: ['server a:1 a:1 id 12 cookie a:1 check', 'server b:1 b:1 id 1 cookie b:1 check backup'],
  },
  {
    what: 'placeholders are replaced, and a lone percent sign stays',
    config: { server_options: 'check 50%% %{host} %{port} %{name} %{other} %' },
    instances: [{ host: 'h', port: 1, name: 'n' }],
    text: ['server n_h:1 h:1 id 1 cookie n_h:1 check 50% h 1 n_h:1 %{other} %'],
  },
  {
    what: 'the placeholder of the host is the host name, and the address where HAProxy reads an address',
    config: {
      server_options: 'sni str(%{host}) addr %{host} verifyhost %{host} source %{host}:0 agent-addr ipv4@%{host}',
    },
    instances: [{ host: '10.0.0.1', hostName: 'h.test', port: 1, name: 'n' }],
    text: [
      'server n_10.0.0.1:1 10.0.0.1:1 id 1 cookie n_10.0.0.1:1 sni str(h.test) addr 10.0.0.1 verifyhost h.test source ' +
        '10.0.0.1:0 agent-addr ipv4@10.0.0.1',
    ],
  },
  {
    what: 'server_options that is no string is ignored',
    config: { server_options: { a: 1 }, backend: ['mode http'] },
    instances: [somehost],
    text: ['mode http', 'server somehost:5555 somehost:5555 id 1 cookie somehost:5555 '],
  },
  {
    what: 'ids follow discovery, lines the names',
    config: { server_options: 'x', backend_order: 'asc' },
    instances: ['1@10.11.11.11', '3@10.22.22.22', '2@10.10.10.10'].map((text) => {
      const [name = '', host = ''] = text.split('@');
      return { name, host, port: 5555 };
    }),
    text: [
      'server 1_10.11.11.11:5555 10.11.11.11:5555 id 1 cookie 1_10.11.11.11:5555 x',
      'server 2_10.10.10.10:5555 10.10.10.10:5555 id 3 cookie 2_10.10.10.10:5555 x',
      'server 3_10.22.22.22:5555 10.22.22.22:5555 id 2 cookie 3_10.22.22.22:5555 x',
    ],
  },
  {
    what: 'descending order',
    config: { listen: ['mode tcp'], backend_order: 'desc' },
    instances: [
      { host: '10.0.0.3', port: 1 },
      { host: '10.0.0.4', port: 1 },
    ],
    text: ['mode tcp', 'server 10.0.0.4:1 10.0.0.4:1 id 2 ', 'server 10.0.0.3:1 10.0.0.3:1 id 1 '],
  },
  {
    what: 'a weight of the record counts where the options have none',
    config: { server_options: 'check', backend_order: 'asc' },
    instances: [{ ...somehost, weight: 1 }],
    text: ['server somehost:5555 somehost:5555 id 1 cookie somehost:5555 check weight 1'],
  },
  {
    what: 'a weight of the options stands by default',
    config: { server_options: 'check weight 50' },
    instances: [{ ...somehost, weight: 99 }],
    text: ['server somehost:5555 somehost:5555 id 1 cookie somehost:5555 check weight 50'],
  },
  {
    what: 'use_nerve_weights replaces all weights and squeezes spaces',
    top: { use_nerve_weights: true },
    config: { server_options: 'check weight 10 inter 2s' },
    instances: [{ ...somehost, weight: 5, serverOptions: 'backup weight 3' }],
    text: ['server somehost:5555 somehost:5555 id 1 cookie somehost:5555 check inter 2s backup weight 5'],
  },
  {
    what: 'use_nerve_weights false leaves them out',
    top: { use_nerve_weights: false },
    config: { server_options: 'check' },
    instances: [{ ...somehost, weight: 5 }],
    text: ['server somehost:5555 somehost:5555 id 1 cookie somehost:5555 check'],
  },
  {
    what: 'a drained server keeps its connections and gets no new ones',
    config: { server_options: 'check weight 10' },
    instances: [{ ...somehost, state: 'drain' }],
    text: ['server somehost:5555 somehost:5555 id 1 cookie somehost:5555 check weight 0'],
  },
  {
    what: 'one that is about to vanish has no line',
    config: { server_options: 'check' },
    instances: [{ ...somehost, state: 'down' }],
    text: [],
  },
  {
    what: 'a backup server says so last, and once',
    config: { server_options: 'check', backend_order: 'no_shuffle' },
    instances: [
      { ...somehost, backup: true },
      { host: 'other', port: 1, backup: true, serverOptions: 'backup' },
    ],
    text: [
      'server somehost:5555 somehost:5555 id 1 cookie somehost:5555 check backup',
      'server other:1 other:1 id 2 cookie other:1 check backup',
    ],
  },
  {
    what: 'HAProxy makes dynamic cookies itself',
    config: { backend: ['mode http', 'cookie S insert dynamic', 'dynamic-cookie-key k'], server_options: 'check' },
    instances: [{ host: '10.0.0.5', port: 80 }],
    text: ['mode http', 'cookie S insert dynamic', 'dynamic-cookie-key k', 'server 10.0.0.5:80 10.0.0.5:80 id 1 check'],
  },
  {
    what: 'the cookie may be a hash of the name',
    config: { backend: ['mode http'], server_options: 'check port %{port}', cookie_value_method: 'hash' },
    instances: [{ host: '10.0.0.5', port: 80 }],
    text: [
      'mode http',
      'server 10.0.0.5:80 10.0.0.5:80 id 1 cookie 3de5c9476ebc926c51ba5790cd195b1a263d4a20 check port 80',
    ],
  },
  {
    what: 'options that the record may not set, or with values HAProxy would refuse, are left out',
    config: { server_options: 'check' },
    instances: [
      { ...somehost, serverOptions: 'maxconn 5 on-marked-down shutdown-sessions inter soon weight 300 rise 2' },
    ],
    text: ['server somehost:5555 somehost:5555 id 1 cookie somehost:5555 check maxconn 5 rise 2'],
  },
  {
    what: 'IPv6 has no brackets',
    config: { listen: ['mode tcp'] },
    instances: [{ name: 't', host: '::1', port: 80 }],
    text: ['mode tcp', 'server t_::1:80 ::1:80 id 1 '],
  },
];

describe('the lines of a backend', () => {
  for (const { what, config, top, instances, text } of lines) {
    it(what, () => {
      const expected = ['backend example_service', ...text.map((line) => `\t${line}`), ''].join('\n');
      assert.equal(serviceText(plainConfig(top), 'example_service', { config, instances }), expected);
    });
  }
});

describe('the frontend of a service', () => {
  const cases: readonly [string, Record<string, unknown>, readonly string[] | undefined][] = [
    ['binds the default address', { port: 2200 }, ['bind localhost:2200']],
    ['takes bind options', { port: '2200', bind_options: 'ssl crt /x.pem' }, ['bind localhost:2200 ssl crt /x.pem']],
    ['takes an address', { port: 2200, bind_address: '127.0.0.3' }, ['bind 127.0.0.3:2200']],
    ['binds a unix socket', { port: null, bind_address: 'unix@/foo/bar.sock' }, ['bind unix@/foo/bar.sock']],
    ['is not there without a port', { server_options: 'check' }, undefined],
    [
      'has its own lines, then those of listen that belong there',
      { port: 1, frontend: ['maxconn 100'], listen: ['mode http', 'balance source', 'timeout  client  300s'] },
      ['maxconn 100', 'mode http', 'timeout  client  300s', 'bind localhost:1'],
    ],
  ];
  for (const [what, config, expected] of cases) {
    it(what, () => {
      const text = serviceText(plainConfig(), 'svc', { config, instances: [] });
      const frontend = text.split('\n\nbackend ')[0];
      if (expected === undefined) assert.doesNotMatch(text, /frontend/);
      else
        assert.equal(
          frontend,
          ['frontend svc', ...[...expected, 'default_backend svc'].map((line) => `\t${line}`)].join('\n'),
        );
    });
  }
});

describe('the whole file', () => {
  it('has no part for a service that is disabled or has no options', () => {
    const nothing = fileText(plainConfig(), {});
    const text = fileText(plainConfig(), {
      off: { config: { port: 1, disabled: true }, instances: [] },
      empty: { config: {}, instances: [somehost] },
    });
    assert.equal(text, nothing);
  });

  it('is the same for the same servers, and differs with the seed', () => {
    const instances = Array.from({ length: 20 }, (_, index) => ({ host: '10.0.0.1', port: index + 1 }));
    const services = { svc: { config: { server_options: 'x' }, instances } };
    const first = fileText(plainConfig(), services);
    assert.equal(fileText(plainConfig(), services), first);
    assert.notEqual(fileText(plainConfig({ server_order_seed: 2 }), services), first);
  });

  it('changes its generation with the options of a service, and never with its instances', () => {
    const generation = (text: string) => /SYNAPSE_GEN (\S+)/.exec(text)?.[1];
    const text = (config: Record<string, unknown>, instances: readonly InstanceFields[], top = {}) =>
      generation(fileText(plainConfig(top), { svc: { config, instances } }));
    const config = { port: 1, server_options: 'check' };
    const base = text(config, []);
    assert.match(base ?? '', /^[0-9a-f]{16}$/);
    assert.equal(text(config, [somehost, { host: 'b', port: 2, weight: 3, backup: true, state: 'drain' }]), base);
    assert.equal(text({ ...config, backend_order: 'asc' }, []), base);
    assert.notEqual(text({ ...config, server_options: 'check inter 1s' }, []), base);
    assert.notEqual(text({ ...config, listen: ['option httplog'] }, []), base);
    assert.notEqual(text({ ...config, port: 2 }, []), base);
    assert.notEqual(text(config, [], { defaults: ['mode tcp'] }), base);
    assert.notEqual(text(config, [], { trust_server_options: ['backup'] }), base);
  });

  it('reads as SmartStack would write it', async () => {
    const config = plainConfig({
      global: ['daemon', 'maxconn 4096'],
      defaults: ['mode http', 'timeout connect 5s'],
      extra_sections: { 'listen stats': ['bind 127.0.0.1:3212', 'mode http', 'stats enable'] },
      shared_frontend: ['bind 127.0.0.1:8081'],
      trust_server_options: ['backup'],
    });
    const text = fileText(config, {
      service1: {
        config: {
          port: 3213,
          server_options: 'check inter 2s rise 3 fall 2',
          listen: [
            'mode http',
            'option httpchk GET /health',
            'http-check expect string OK',
            'timeout  client  300s',
            'timeout  server  300s',
            'option httplog',
          ],
          frontend: ['maxconn 100'],
          backend: ['option forwardfor'],
          backend_order: 'asc',
          shared_frontend: [
            'acl is_service1 hdr_dom(host) -i service1.lb.example.com',
            'use_backend service1 if is_service1',
          ],
        },
        instances: [
          { name: 'i-aaa', host: '10.0.0.1', port: 8001 },
          { name: 'i-bbb', host: '10.0.0.2', port: 8001 },
        ],
      },
      mysql: {
        config: {
          port: 3307,
          bind_address: '127.0.0.2',
          bind_options: 'ssl crt /x.pem',
          listen: ['mode tcp'],
          backend_order: 'desc',
        },
        instances: [
          { host: '10.0.0.3', port: 3306 },
          { host: '10.0.0.4', port: 3306 },
        ],
      },
      bare: {
        config: {
          backend: ['mode http'],
          server_options: 'check port %{port} observe layer7',
          cookie_value_method: 'hash',
          backend_name: 'bare.region',
        },
        instances: [{ host: '10.0.0.5', port: 80, serverOptions: 'backup' }],
      },
    });
    assert.equal(
      text.replace(/SYNAPSE_GEN \S+/, 'SYNAPSE_GEN GEN'),
      await readFile('test/golden/haproxy/smartstack.cfg', 'utf8'),
    );
  });
});
