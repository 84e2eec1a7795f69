import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { serviceListeners, topListeners } from '../../../../synapse/haproxy/spec/listeners.ts';
import type { Listener } from '../../../../synapse/output.ts';
import { haproxyConfig, serviceConfig } from '../../../support/haproxy/haproxy-output.ts';
import { plainConfig } from '../../../support/haproxy/haproxy-text.ts';

/** `HOST FIRST-LAST` */
function textOf({ host, firstPort, lastPort }: Listener): string {
  return `${host} ${firstPort === lastPort ? firstPort : `${firstPort}-${lastPort}`}`;
}

describe('the listeners of a service', () => {
  const cases: readonly (readonly [what: string, config: Record<string, unknown>, listeners: readonly string[]])[] = [
    ['are those of its port on localhost', { port: 3000 }, ['127.0.0.1 3000', '::1 3000']],
    ['are those of its bind_address', { port: 3000, bind_address: '10.0.0.5' }, ['10.0.0.5 3000']],
    ['are all addresses with *', { port: 3000, bind_address: '*' }, ['any 3000']],
    ['are all addresses with 0.0.0.0', { port: 3000, bind_address: '0.0.0.0' }, ['any 3000']],
    ['are all addresses with ::', { port: 3000, bind_address: '::' }, ['any 3000']],
    [
      'are all addresses with a host name, whose address is not known',
      { port: 1, bind_address: 'here.test' },
      ['any 1'],
    ],
    ['are a range of ports', { port: '3000-3005', bind_address: '::1' }, ['::1 3000-3005']],
    ['are none without a port', { frontend: ['bind :80'] }, []],
    ['are none when it is disabled', { port: 80, disabled: true }, []],
    ['are none on a unix socket', { port: null, bind_address: '/run/api.sock' }, []],
    ['are what a bind_address without a port says', { port: null, bind_address: '127.0.0.1:81' }, ['127.0.0.1 81']],
    [
      'include bind lines of its own',
      {
        port: 80,
        bind_address: '10.0.0.5',
        frontend: ['bind 10.0.0.5:443,10.0.0.6:444 ssl crt /x.pem', '  bind :8080', 'bind [2001:db8::1]:82'],
        listen: ['bind ipv4@*:83', 'bind unix@/x.sock', 'bind "$ADDRESS:84"', 'bind fd@3', 'balance leastconn'],
      },
      ['10.0.0.5 80', '10.0.0.5 443', '10.0.0.6 444', 'any 8080', '2001:db8::1 82', 'any 83'],
    ],
  ];
  for (const [what, config, listeners] of cases) {
    it(what, () => {
      assert.deepEqual(serviceListeners('api', serviceConfig(config), plainConfig()).map(textOf), listeners);
    });
  }

  it('name the service', () => {
    const [first] = serviceListeners('api', serviceConfig({ port: 80 }), plainConfig());
    assert.equal(first?.what, 'the frontend of api');
  });
});

describe('the listeners of the haproxy section', () => {
  it('are its sockets, its own sections, peers and the ports of reload_free_services', () => {
    const config = haproxyConfig({
      global: ['stats socket /run/h.sock level admin', 'stats socket ipv4@127.0.0.1:9999 level admin'],
      defaults: ['mode http'],
      shared_frontend: ['bind 10.0.0.5:80', 'acl a path /a'],
      extra_sections: {
        'listen stats': ['bind 127.0.0.1:3212', 'stats enable'],
        'listen old 10.0.0.5:81': ['mode tcp'],
        'peers mesh': ['peer here 10.0.0.5:1024'],
        'backend b': ['server bind 10.0.0.9:1'],
      },
      bind_address: '127.0.0.1',
      reload_free_services: { ports: '4000-4010', listen: ['mode tcp', 'bind 127.0.0.1:5000'] },
      config_file_path: '/h.cfg',
      socket_file_path: '/run/h.sock',
      do_reloads: false,
    });
    assert.deepEqual(topListeners(config).map(textOf), [
      '127.0.0.1 9999',
      '10.0.0.5 80',
      '127.0.0.1 3212',
      '10.0.0.5 81',
      '10.0.0.5 1024',
      '127.0.0.1 4000-4010',
      '127.0.0.1 5000',
    ]);
  });

  it('are those of bind lines in a template', () => {
    const template = { head: 'global\n\nlisten x\n\tbind 127.0.0.1:1\n', service: '', tail: '\tbind {{x}}:2\n' };
    assert.deepEqual(topListeners({ ...plainConfig(), template }).map(textOf), ['127.0.0.1 1', 'any 2']);
  });
});
