import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sha1 } from '../../../../common/digest.ts';
import { makeInstance } from '../../../../common/instance.ts';
import { buildBackendSpec } from '../../../../synapse/haproxy/spec/build-backend.ts';
import { serverOf } from '../../../../synapse/haproxy/spec/server.ts';
import type { BackendSpec } from '../../../../synapse/haproxy/spec/types.ts';
import { takenCookies } from '../../../../synapse/output.ts';
import { serviceConfig } from '../../../support/haproxy/haproxy-output.ts';
import { plainConfig } from '../../../support/haproxy/haproxy-text.ts';

describe('the cookie of a server', () => {
  const own = 'p1_10.0.0.1:80';
  const others = 'p2_10.0.0.2:80';
  const cases: readonly (readonly [asked: string, cookie: string, options: string, refused: readonly string[]])[] = [
    ['', own, '', []],
    ['cookie blue', '', 'cookie blue', []],
    [`cookie ${own}`, '', `cookie ${own}`, []],
    [`cookie ${sha1(own)}`, '', `cookie ${sha1(own)}`, []],
    [`cookie ${others}`, own, '', [`cookie ${others}`]],
    [`cookie ${sha1(others)}`, own, '', [`cookie ${sha1(others)}`]],
    ['cookie 10.0.0.2:80 weight 3', own, 'weight 3', ['cookie 10.0.0.2:80']],
    [`cookie blue cookie ${others}`, own, '', ['cookie blue', `cookie ${others}`]],
    ['cookie host:99999', own, '', ['cookie host:99999']],
  ];
  for (const method of ['name', 'hash'] as const) {
    const config = serviceConfig({ port: 1, listen: ['mode http'], cookie_value_method: method });
    const { servers } = buildBackendSpec('api', config, plainConfig()) as BackendSpec;
    for (const [asked, cookie, options, refused] of cases) {
      it(`is not that of another one when the record asks for '${asked}' (${method})`, () => {
        const fields = { name: 'p1', host: '10.0.0.1', port: 80, ...(asked !== '' && { serverOptions: asked }) };
        const server = serverOf(makeInstance(fields), servers);
        const expected = cookie === '' ? undefined : method === 'hash' ? sha1(cookie) : cookie;
        assert.equal(server.cookie, expected);
        assert.equal(server.options.trim(), options);
        const dropped = server.dropped.map(
          (text) => /^haproxy_server_options: (.*?): (?:contradicts|may be the cookie) /.exec(text)?.[1],
        );
        assert.deepEqual(dropped, refused);
      });
    }
  }

  it('is its own name when the record asks for one that an older instance has', () => {
    const config = serviceConfig({ port: 1, listen: ['mode http'] });
    const { servers } = buildBackendSpec('api', config, plainConfig()) as BackendSpec;
    const instance = makeInstance({ name: 'p1', host: '10.0.0.1', port: 80, serverOptions: 'cookie blue rise 3' });
    const server = serverOf({ ...instance, [takenCookies]: new Map([['blue', others]]) }, servers);
    assert.equal(server.cookie, own);
    assert.equal(server.options.trim(), 'rise 3');
    assert.deepEqual(server.dropped, [
      `haproxy_server_options: cookie blue: ${others} asks for it too, and was announced first`,
    ]);
  });
});
