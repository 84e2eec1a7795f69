import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type AdminServers, openAdminServers } from '../../support/daemons/admin-servers.ts';
import { exchange } from '../../support/servers/raw-http.ts';

describe('the documents of synapse about one service', () => {
  let servers: AdminServers;
  beforeEach(async () => {
    servers = await openAdminServers();
  });
  afterEach(() => servers.close());

  for (const name of ['nope', 'constructor', 'toString', '__proto__']) {
    it(`have no servers of HAProxy for ${name}, which is not a service`, async () => {
      const request = `GET /api/v1/haproxy?service=${name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
      const text = await exchange(servers.to.synapse, [request]);
      const answer = JSON.parse(text.slice(text.indexOf('\r\n\r\n'))) as { service: unknown; servers: unknown };
      assert.deepEqual([answer.service, answer.servers], [name, null]);
    });
  }
});
