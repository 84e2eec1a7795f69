import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mergePublished } from '../../../synapse/config/published-config.ts';
import { haproxySection } from '../../../synapse/haproxy/options/section.ts';

const local = { port: 3213, listen: ['mode http'], server_options: 'check', bind_address: '127.0.0.1' };

const accepted: readonly [title: string, published: object, differs: object][] = [
  ['nothing of ours', { other_generator: { a: 1 } }, {}],
  ['no section at all', {}, {}],
  ['another port', { haproxy: { port: 1111 } }, { port: 1111 }],
  [
    'what the original published, without its own listen',
    { haproxy: { server_options: 'check inter 60s rise 3 fall 2', backend: ['option httpchk GET /health'] } },
    { server_options: 'check inter 60s rise 3 fall 2', backend: ['option httpchk GET /health'] },
  ],
  [
    'lines in place of the local ones',
    { haproxy: { listen: ['mode tcp', 'timeout  server  300s'] } },
    { listen: ['mode tcp', 'timeout  server  300s'] },
  ],
];

const refused: readonly [title: string, published: unknown, reason: RegExp][] = [
  ['a list', [], /must be an object of sections/],
  ['a section that is a string', { haproxy: 'value' }, /^haproxy: must be an object/],
  ['an address to listen on', { haproxy: { bind_address: '0.0.0.0' } }, /bind_address: may not be published/],
  ['words of a bind line', { haproxy: { bind_options: 'ssl crt /etc/passwd' } }, /may not be published/],
  ['lines of the shared frontend', { haproxy: { shared_frontend: ['use_backend a'] } }, /may not be published/],
  ['an unknown option', { haproxy: { prt: 1 } }, /prt: may not be published/],
  ['a port that is none', { haproxy: { port: 99_999 } }, /^haproxy\.port: /],
  ['a second bind line', { haproxy: { frontend: ['bind 0.0.0.0:22'] } }, /"bind 0\.0\.0\.0:22" may not be published/],
  ['a server', { haproxy: { backend: ['server evil 6.6.6.6:80'] } }, /may not be published/],
  ['a program', { haproxy: { backend: ['option external-check'] } }, /could do harm/],
  ['a script', { haproxy: { frontend: ['http-request lua.evil'] } }, /could do harm/],
  ['a file as an answer', { haproxy: { frontend: ['http-request return file /etc/shadow'] } }, /could do harm/],
  ['a file as a pattern', { haproxy: { frontend: ['acl a src -f /etc/shadow'] } }, /could do harm/],
  ["this host's environment", { haproxy: { frontend: ['http-request set-header X "$SECRET"'] } }, /could do harm/],
  [
    'a sample of the environment',
    { haproxy: { frontend: ['http-response set-header X %[env(HOME)]'] } },
    /could do harm/,
  ],
  ['a line within a line', { haproxy: { listen: ['mode http\nbind :1'] } }, /listen: must be a list of strings/],
  ['a new section in a string of lines', { haproxy: { listen: 'mode http\nglobal' } }, /"global" may not be published/],
  ['a client certificate', { haproxy: { server_options: 'check ssl crt /etc/key.pem' } }, /could do harm/],
  ['lines that are numbers', { haproxy: { listen: [1] } }, /listen: must be a list of strings/],
];

describe('a published configuration', () => {
  for (const [title, published, differs] of accepted) {
    it(`may contain ${title}`, () => {
      const result = mergePublished(local, published);
      const plain = haproxySection.readService({ ...local, ...differs }, { path: 'haproxy', problems: [] });
      assert.deepEqual(result, { config: plain });
    });
  }
  for (const [title, published, reason] of refused) {
    it(`is refused when it contains ${title}`, () => {
      const result = mergePublished(local, published);
      assert.ok('refused' in result, JSON.stringify(result));
      assert.match(result.refused, reason);
    });
  }
});
