import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type MergeResult, mergePublished, publishedBase } from '../../../../synapse/haproxy/published/merge.ts';
import { haproxyConfig, serviceConfig } from '../../../support/haproxy/haproxy-output.ts';
import { hostileLines, hostileServerOptions } from '../../../support/haproxy/hostile-lines.ts';

const local = {
  port: 3213,
  listen: ['mode http', 'http-request deny if !{ src 10.0.0.0/8 }', 'timeout server 10s'],
  backend: ['option httpchk GET /up', 'http-check expect status 200', 'retries 2'],
  server_options: 'check ssl verify required ca-file /etc/ca.pem inter 2s source 10.0.0.1',
  bind_address: '127.0.0.1',
};

/** What follows from a document on top of a service's own section. */
function merge(document: unknown, own: object = local, top: object = {}): MergeResult {
  const haproxy = haproxyConfig({ global: ['daemon'], defaults: ['timeout client 5s'], do_socket: false, ...top });
  return mergePublished(publishedBase('api', serviceConfig({ ...own }), haproxy), document);
}

const kept = {
  frontend: ['mode http', 'http-request deny if !{ src 10.0.0.0/8 }'],
  backend: [
    'option httpchk GET /up',
    'http-check expect status 200',
    'retries 2',
    'mode http',
    'http-request deny if !{ src 10.0.0.0/8 }',
  ],
  listen: [],
};

const accepted: readonly [title: string, published: object, differs: object][] = [
  ['nothing of ours', { other_generator: { a: 1 } }, {}],
  ['no section at all', {}, {}],
  ['an empty section', { haproxy: {} }, {}],
  ['empty lists and nulls', { haproxy: { backend: [], listen: null, server_options: '' } }, {}],
  ['the mode that is in force', { haproxy: { listen: ['mode http'], backend: ['  mode   http '] } }, {}],
  [
    'a line that replaces the local one of its kind and no other',
    { haproxy: { listen: ['mode http', ' timeout \tserver  300s'] } },
    { ...kept, backend: [...kept.backend, 'timeout server 300s'] },
  ],
  [
    'lines in one text',
    { haproxy: { backend: 'retries 3\n\n  option redispatch 2\n', listen: 'timeout server 1m' } },
    {
      ...kept,
      backend: [
        ...kept.backend.filter((line) => !line.startsWith('retries')),
        'timeout server 1m',
        'retries 3',
        'option redispatch 2',
      ],
    },
  ],
  [
    'another check in place of the whole local one',
    { haproxy: { backend: ['option httpchk', 'http-check send uri /new hdr Host api.internal meth HEAD'] } },
    {
      ...kept,
      backend: [
        'retries 2',
        'mode http',
        'http-request deny if !{ src 10.0.0.0/8 }',
        'timeout server 10s',
        'option httpchk',
        'http-check send meth HEAD uri /new hdr Host api.internal',
      ],
    },
  ],
  [
    'the lines of a check in another order than HAProxy wants',
    {
      haproxy: {
        backend: ['http-check expect ! string DOWN', 'http-check send uri /a', 'http-check expect status 200'],
        listen: 'option httpchk',
      },
    },
    {
      ...kept,
      backend: [
        'retries 2',
        'mode http',
        'http-request deny if !{ src 10.0.0.0/8 }',
        'timeout server 10s',
        'option httpchk',
        'http-check send uri /a',
        'http-check expect status 200',
        'http-check expect ! string DOWN',
      ],
    },
  ],
  [
    'lines of the frontend and of both sides',
    { haproxy: { frontend: ['maxconn 500'], listen: ['timeout client 1m', 'option http-keep-alive'] } },
    {
      ...kept,
      frontend: [...kept.frontend, 'timeout client 1m', 'maxconn 500', 'option http-keep-alive'],
      backend: [...kept.backend, 'timeout server 10s', 'option http-keep-alive'],
    },
  ],
  [
    'server options, which leave TLS and the source of the local ones as they are',
    { haproxy: { server_options: 'check inter 60s rise 3 fall 2' } },
    { server_options: 'ssl verify required ca-file /etc/ca.pem source 10.0.0.1 check inter 60s rise 3 fall 2' },
  ],
  [
    'the order of servers and the values of cookies',
    { haproxy: { backend_order: 'asc', cookie_value_method: 'hash' } },
    { backend_order: 'asc', cookie_value_method: 'hash' },
  ],
];

const sections: readonly [title: string, published: unknown, reason: RegExp][] = [
  ['a list', [], /^must be an object of sections/],
  ['no object', 'text', /^must be an object of sections/],
  ['a section that is a string', { haproxy: 'value' }, /^haproxy: must be an object/],
  ['a port', { haproxy: { port: 3214 } }, /^haproxy\.port: may not be published; allowed are frontend, backend/],
  ['no port any more', { haproxy: { port: false } }, /^haproxy\.port: may not be published/],
  ['an address to listen on', { haproxy: { bind_address: '0.0.0.0' } }, /bind_address: may not be published/],
  ['a socket to listen on', { haproxy: { port: null, bind_address: '/run/a' } }, /port: may not be published/],
  ['words of a bind line', { haproxy: { bind_options: 'ssl crt /etc/passwd' } }, /may not be published/],
  ['lines of the shared frontend', { haproxy: { shared_frontend: ['use_backend a'] } }, /may not be published/],
  ['another backend', { haproxy: { backend_name: 'other' } }, /backend_name: may not be published/],
  ['an older port', { haproxy: { server_port_override: 22 } }, /server_port_override: may not be published/],
  ['a backup port', { haproxy: { server_backup_port: 22 } }, /server_backup_port: may not be published/],
  ['a service that is off', { haproxy: { disabled: true } }, /disabled: may not be published/],
  ['other weights', { haproxy: { use_nerve_weights: false } }, /use_nerve_weights: may not be published/],
  ['an unknown option', { haproxy: { prt: 1 } }, /prt: may not be published/],
  ['a prototype', JSON.parse('{"haproxy":{"__proto__":{"port":1}}}'), /__proto__.*may not be published/],
  ['a line within a line', { haproxy: { listen: ['timeout server 5s\nbind :1'] } }, /may not be published/],
  ['a new section in a text', { haproxy: { listen: 'mode http\nglobal' } }, /"global" may not be published$/],
  ['lines that are numbers', { haproxy: { listen: [1] } }, /listen: must be a list of strings/],
  ['lines that are an object', { haproxy: { backend: { a: 'retries 1' } } }, /backend: must be a list of strings/],
  ['too many lines', { haproxy: { backend: Array(65).fill('retries 1') } }, /at most 64 lines/],
  ['a line of the other side', { haproxy: { frontend: ['retries 1'] } }, /"retries 1" belongs to the backend/],
  ['one kind of line twice', { haproxy: { backend: ['retries 1'], listen: ['retries 2'] } }, /another line of this/],
  [
    'two ways to close connections',
    { haproxy: { listen: ['option httpclose', 'option http-keep-alive'] } },
    /another line of this kind/,
  ],
  ['two balances', { haproxy: { backend: ['balance first', 'balance hdr(a)'] } }, /another line of this kind/],
  ['two kinds of checks', { haproxy: { backend: ['option httpchk /', 'option tcp-check'] } }, /another kind of check/],
  ['a part of a check', { haproxy: { backend: ['http-check expect status 200'] } }, /needs a line 'option httpchk …'/],
  ['a part of a check of another kind', { haproxy: { backend: ['option httpchk /', 'tcp-check connect'] } }, /needs a/],
  ['stickiness without a table', { haproxy: { backend: ['stick on src'] } }, /needs a line 'stick-table …'/],
  ['an order that does not exist', { haproxy: { backend_order: 'evil' } }, /must be asc or desc or no_shuffle/],
  ['cookies that do not exist', { haproxy: { cookie_value_method: 'name' } }, /cookie_value_method: must be hash/],
  ['server options that are a list', { haproxy: { server_options: ['check'] } }, /server_options: must be a string/],
];

describe('a published configuration', () => {
  for (const [title, published, differs] of accepted) {
    it(`may contain ${title}`, () => {
      assert.deepEqual(merge(published), { config: serviceConfig({ ...local, ...differs }) });
    });
  }

  for (const [title, lines] of Object.entries(hostileLines)) {
    it(`is refused with each of ${lines.length} lines that have ${title}`, () => {
      for (const line of lines) {
        for (const key of ['frontend', 'backend', 'listen']) {
          for (const value of [[line], ['timeout server 5s', line], ['option httpchk /', 'option tcp-check', line]]) {
            const result = merge({ haproxy: { [key]: value } });
            assert.ok('refused' in result, `${key}: ${line}`);
            assert.match(result.refused, new RegExp(`^haproxy\\.${key}: `));
          }
        }
      }
    });
  }

  for (const [title, published, reason] of sections) {
    it(`is refused when it contains ${title}`, () => {
      const result = merge(published);
      assert.ok('refused' in result, JSON.stringify(result));
      assert.match(result.refused, reason);
    });
  }

  it(`is refused with each of ${hostileServerOptions.length} server options that are not in the list`, () => {
    for (const options of hostileServerOptions) {
      for (const own of [local, { ...local, server_options: undefined }]) {
        const result = merge({ haproxy: { server_options: options } }, own, { trust_server_options: ['*'] });
        assert.ok('refused' in result, options);
        assert.match(result.refused, /^haproxy\.server_options: /);
      }
    }
  });

  it('may not have a server option that a record may not have', () => {
    const result = merge({ haproxy: { server_options: 'check' } }, local, { trust_server_options: ['weight'] });
    assert.deepEqual(result, { refused: 'haproxy.server_options: "check" is not in haproxy.trust_server_options' });
  });

  it('names the forms that are allowed, where it has a line that begins like one of them', () => {
    const result = merge({ haproxy: { backend: ['tcp-check connect port 22'] } });
    assert.deepEqual(result, {
      refused:
        'haproxy.backend: "tcp-check connect port 22" may not be published; ' +
        "allowed is 'tcp-check connect' or 'tcp-check expect [!] string TEXT'",
    });
  });
});

const httpCheck = ['option httpchk GET /new'];
/** What the local configuration says, and a document that would drop it. */
const guarded: readonly [title: string, own: object, top: object, published: object][] = [
  ['TLS of a check', { backend: ['http-check connect ssl'] }, {}, { backend: httpCheck }],
  ['the address of a check', { listen: ['tcp-check connect addr 10.0.0.1'] }, {}, { listen: ['option tcp-check'] }],
  ['the port of a check in the defaults', {}, { defaults: ['http-check connect port 1'] }, { backend: httpCheck }],
  [
    'a check in other defaults',
    {},
    { extra_sections: { 'defaults web': ['tcp-check connect ssl'] } },
    { backend: httpCheck },
  ],
  ['a program that checks', { backend: ['option external-check'] }, {}, { backend: httpCheck }],
  ['a check with quotes', { backend: ['"http-check" connect ssl'] }, {}, { backend: httpCheck }],
  ['connections that are not shared', { backend: ['http-reuse never'] }, {}, { backend: ['http-reuse always'] }],
  ['a cookie of its own kind', { backend: ['cookie A prefix'] }, {}, { backend: ['cookie A insert'] }],
  [
    'a table with counters',
    { backend: ['stick-table type ip size 1m store gpc0'] },
    {},
    { backend: ['stick-table type ip size 10'] },
  ],
  [
    'a table that rules of other services may use',
    { backend: ['stick-table type ip size 10'] },
    {},
    { backend: ['stick-table type string size 10'] },
  ],
  [
    'a cookie for TLS only',
    { backend: ['cookie A insert indirect secure httponly'] },
    {},
    { backend: ['cookie A insert httponly'] },
  ],
  [
    'a cookie in the defaults that scripts cannot read',
    {},
    { defaults: ['cookie A insert httponly'] },
    { backend: ['cookie A insert secure'] },
  ],
  ['a rule of its table', { backend: ['stick match src'] }, {}, { backend: ['stick-table type ip size 10'] }],
  ['quotes in server options', { server_options: 'check sni "str(a b)"' }, {}, { server_options: 'inter 5s' }],
  ['a comment in server options', { server_options: 'check # why' }, {}, { server_options: 'inter 5s' }],
  ['the state of another server', { server_options: 'track a/b' }, {}, { server_options: 'check' }],
  ['mode tcp', { listen: ['mode tcp'] }, {}, { listen: ['mode http'] }],
  ['mode tcp in the defaults', { listen: [] }, { defaults: ['mode tcp'] }, { backend: ['http-reuse safe'] }],
  ['no mode', { listen: [] }, {}, { listen: ['mode http'] }],
  [
    'a frontend in mode tcp',
    { listen: [], frontend: ['mode tcp'], backend: ['mode http'] },
    {},
    { listen: ['mode http'] },
  ],
];

describe('a published configuration that would replace', () => {
  for (const [title, own, top, published] of guarded) {
    it(`${title} of the local configuration is refused`, () => {
      const result = merge({ haproxy: published }, { port: 1, listen: ['mode http'], ...own }, top);
      assert.ok('refused' in result, JSON.stringify(result));
      assert.match(result.refused, /local (configuration|server_options)/);
    });
  }

  it('an old form of a local line replaces that line', () => {
    const result = merge({ haproxy: { backend: ['timeout server 5s'] } }, { backend: ['srvtimeout 9s', 'redispatch'] });
    assert.ok('config' in result);
    assert.deepEqual(result.config.backend, ['redispatch', 'timeout server 5s']);
  });
});
