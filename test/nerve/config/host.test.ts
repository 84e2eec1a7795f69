import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, it, type TestContext } from 'node:test';
import { announcedHost, readHost } from '../../../nerve/config/host.ts';

/** EC2's metadata service, version 2, which answers only with the token that it issued. */
async function metadata(t: TestContext, answers: Readonly<Record<string, string>>): Promise<string[]> {
  const asked: string[] = [];
  const answer = ({ method, url = '', headers }: IncomingMessage): string | undefined => {
    asked.push(`${method} ${url}`);
    if (method === 'PUT') {
      return headers['x-aws-ec2-metadata-token-ttl-seconds'] && url === '/latest/api/token' ? 'secret' : undefined;
    }
    return headers['x-aws-ec2-metadata-token'] === 'secret' ? answers[url] : undefined;
  };
  const server = createServer((request, response) => {
    const text = answer(request);
    response.writeHead(text === undefined ? 401 : 200).end(text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const before = process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT;
  process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  t.after(() => {
    if (before === undefined) delete process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT;
    else process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT = before;
    server.close();
    server.closeAllConnections();
  });
  return asked;
}

describe('the host of a service', () => {
  for (const host of [
    '10.0.0.1',
    '::1',
    'db.example.com',
    'auto',
    'auto:ipv6',
    'auto:eth0',
    'auto:eth0:ipv6',
    'auto:ec2',
  ]) {
    it(`may be ${host}`, () => assert.equal(readHost(host), host));
  }
  for (const host of ['', 'auto:', 'auto:eth0:ipv5', 'auto: eth0', '10.0.0.256', 5]) {
    it(`may not be ${JSON.stringify(host)}`, () => assert.throws(() => readHost(host), /must be an IP address/));
  }

  it('is announced unchanged, or with resolve_host as its current address', async () => {
    assert.equal(await announcedHost('localhost', false), 'localhost');
    assert.match(await announcedHost('localhost', true), /^(?:127\.0\.0\.1|::1)$/);
    assert.equal(await announcedHost('::1', true), '::1');
    await assert.rejects(announcedHost('nobody.invalid', true), /cannot resolve nobody\.invalid: /);
  });

  it('is an address of the named interface', async () => {
    const all = networkInterfaces();
    assert.equal(await announcedHost('auto:lo:ipv4', false), '127.0.0.1');
    const names = Object.keys(all).join(', ');
    await assert.rejects(announcedHost('auto:none0', false), {
      message: new RegExp(`no network interface none0 .*${names}`),
    });
  });

  it('is with auto this host’s primary address, never loopback', async () => {
    const address = await announcedHost('auto', false).catch((error: Error) => error.message);
    assert.ok(
      isIP(address) !== 0 ? !/^(?:127\.|::1$)/.test(address) : /no such address besides loopback/.test(address),
    );
  });

  it('is with auto:ec2 the address in EC2’s metadata, read with a token', async (t) => {
    const asked = await metadata(t, {
      '/latest/meta-data/local-ipv4': '10.1.2.3\n',
      '/latest/meta-data/ipv6': '2600::5',
    });
    assert.equal(await announcedHost('auto:ec2', false), '10.1.2.3');
    assert.deepEqual(asked, ['PUT /latest/api/token', 'GET /latest/meta-data/local-ipv4']);
    assert.equal(await announcedHost('auto:ec2:ipv6', false), '2600::5');
  });

  it('is refused with the answer of EC2’s metadata when that is not an address', async (t) => {
    await metadata(t, { '/latest/meta-data/local-ipv4': '<html>' });
    await assert.rejects(announcedHost('auto:ec2', false), /EC2 instance metadata: "<html>" is not an IP address/);
    await assert.rejects(announcedHost('auto:ec2:ipv6', false), /GET \/latest\/meta-data\/ipv6 failed: HTTP 401/);
  });
});
