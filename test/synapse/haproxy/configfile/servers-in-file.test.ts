import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeInstance } from '../../../../common/instance.ts';
import { readServersInFile, ServersInFile } from '../../../../synapse/haproxy/configfile/servers-in-file.ts';
import { parseConfig } from '../../../../synapse/haproxy/spec/parse-config.ts';
import { serviceConfig } from '../../../support/haproxy/haproxy-output.ts';
import { memoryFiles } from '../../../support/machine/memory-files.ts';

const text = `global
backend api
	server web.test_10.0.0.1:80 10.0.0.1:80 id 1
	server i-1_10.0.0.2:80 10.0.0.2:80 id 2
	server twice_10.0.0.3:80 10.0.0.3:80 id 3
	server twice_10.0.0.4:80 10.0.0.4:80 id 4
	server six_2001:db8::1:80 2001:db8::1:80 id 5
	server my_own:80 10.0.0.9:80 id 6
backend other
	server web.test_10.9.9.9:80 10.9.9.9:80 id 1
backend port-3000
	server web.test_10.0.0.8:80 10.0.0.8:80 id 1
`;

describe('the servers in the file of an earlier run', () => {
  const servers = new ServersInFile(parseConfig(text));
  const plain = serviceConfig({});
  const cases: readonly (readonly [what: string, service: string, record: object, address: string | undefined])[] = [
    ['have the address of a host name', 'api', { host: 'web.test' }, '10.0.0.1'],
    ['have the address of a host name with a dot at its end', 'api', { host: 'web.test.' }, '10.0.0.1'],
    ['have the address of a record with a name', 'api', { name: 'i-1', host: 'any.test' }, '10.0.0.2'],
    ['have IPv6 addresses', 'api', { name: 'six', host: 'any.test' }, '2001:db8::1'],
    ['have nothing for another port', 'api', { host: 'web.test', port: 81 }, undefined],
    ['have nothing where two servers have the name', 'api', { name: 'twice', host: 'any.test' }, undefined],
    ['have nothing for a name that they do not have', 'api', { host: 'new.test' }, undefined],
    ['have nothing for a server of the operator', 'api', { name: 'my', host: 'own' }, undefined],
    ['are those of the service', 'other', { host: 'web.test' }, '10.9.9.9'],
    ['are none for a service that the file does not have', 'new', { host: 'web.test' }, undefined],
  ];
  for (const [what, service, record, address] of cases) {
    it(what, () => {
      const instance = makeInstance({ host: '', port: 80, ...record });
      assert.equal(servers.addressOf(service, plain, instance), address);
    });
  }

  it('are those of its backend_name, or of its port of reload_free_services', () => {
    const instance = makeInstance({ host: 'web.test', port: 80 });
    assert.equal(servers.addressOf('x', serviceConfig({ backend_name: 'other' }), instance), '10.9.9.9');
    assert.equal(servers.addressOf('x', serviceConfig({ port: 3000 }), instance), '10.0.0.8');
  });

  it('are none without a file', async () => {
    const none = await readServersInFile('/none.cfg', memoryFiles());
    assert.equal(none.addressOf('api', plain, makeInstance({ host: 'web.test', port: 80 })), undefined);
  });
});
