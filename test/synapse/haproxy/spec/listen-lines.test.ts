import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { placeOf } from '../../../../synapse/haproxy/spec/listen-lines.ts';

describe('the place of a listen line', () => {
  const cases = {
    both: [
      'mode http',
      'option httplog',
      'acl a path /',
      'http-request deny',
      'stick-table type ip size 1',
      'timeout http-request 5s',
      'some-future-directive x',
    ],
    frontend: [
      'bind :80',
      'maxconn 10',
      '  Timeout   Client 5s',
      'no option dontlognull',
      'capture request header X len 5',
      'use_backend b if a',
    ],
    backend: [
      'balance source',
      'option httpchk GET /',
      'no option redispatch',
      'http-check expect string OK',
      'timeout server 5s',
      'retry-on all-retryable-errors',
      'cookie A insert',
      'stick on src',
      'default-server inter 2s',
    ],
  } as const;
  for (const [place, lines] of Object.entries(cases)) {
    for (const line of lines) it(`${line} → ${place}`, () => assert.equal(placeOf(line), place));
  }
});
