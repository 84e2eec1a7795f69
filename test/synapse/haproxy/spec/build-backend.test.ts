import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addedLines } from '../../../../synapse/haproxy/spec/build-backend.ts';
import { haproxyConfig } from '../../../support/haproxy/haproxy-output.ts';

describe('lines that synapse adds', () => {
  it('only where the user has not decided', () => {
    const config = haproxyConfig({
      global: ['stats socket /run/a.sock level admin', 'stats timeout 5m', 'hard-stop-after 1m', 'stats maxconn 5'],
      defaults: [
        'mode http',
        'no option redispatch',
        'option idle-close-on-response',
        'default-server inter 2s init-addr libc',
      ],
      socket_file_path: '/run/a.sock',
    });
    assert.deepEqual(addedLines(config), { global: [], defaults: [] });
  });
  it('for every socket, and not for TCP what only HTTP takes', () => {
    const config = haproxyConfig({
      global: ['daemon'],
      defaults: ['mode tcp'],
      socket_file_path: ['/a.sock', '/b.sock'],
    });
    const { global, defaults } = addedLines(config);
    assert.deepEqual(global.slice(0, 2), [
      'stats socket /a.sock mode 660 level admin',
      'stats socket /b.sock mode 660 level admin',
    ]);
    assert.deepEqual(defaults, ['option redispatch', 'default-server init-addr last,libc,none']);
  });
});
