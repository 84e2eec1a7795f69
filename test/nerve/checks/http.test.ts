import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createPlainServer, createSecureServer } from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Problem } from '../../../common/config/config.ts';
import { validate } from '../../../common/config/schema.ts';
import { exec } from '../../../common/daemon/exec.ts';
import { check } from '../../../nerve/checks/http.ts';
import { checkDeps } from '../../support/daemons/check.ts';
import { eventually } from '../../support/eventually.ts';
import { startPeer } from '../../support/servers/bad-peers.ts';
import { makeAuthority, makeCertificate } from '../../support/servers/certificates.ts';
import { tempFolder } from '../../support/temp-folder.ts';

async function listen(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  t.after(() => {
    server.close();
    server.closeAllConnections?.(); // HTTP/2 servers do not have it
  });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function serve(t: TestContext, answer: RequestListener): Promise<number> {
  return listen(t, createServer(answer));
}

/** Probes once, with options as in a configuration file. */
function probe(options: object, port: number, signal: AbortSignal = AbortSignal.timeout(20_000)): Promise<void> {
  const problems: Problem[] = [];
  const valid = validate(check.schema, { uri: '/', ...options }, { path: '', problems });
  assert.deepEqual(problems, []);
  return check.create(valid, { service: 's', host: '127.0.0.1', port }, checkDeps)(signal);
}

describe('the http check', () => {
  for (const [status, passes] of [
    [200, true],
    [204, true],
    [301, true],
    [399, true],
    [400, false],
    [404, false],
    [500, false],
    [503, false],
  ] as const) {
    it(`${passes ? 'passes' : 'fails'} with status ${status}`, async (t) => {
      const port = await serve(t, (_, response) => response.writeHead(status, { location: 'http://192.0.2.1/' }).end());
      if (passes) await probe({}, port);
      else await assert.rejects(probe({}, port), { message: `HTTP ${status} from GET /, expected 200 to 399` });
    });
  }

  it('looks for the expected text in the body', async (t) => {
    const port = await serve(t, (_, response) => response.end('xOKx'));
    await probe({ expect: 'OK' }, port);
    await assert.rejects(probe({ expect: 'FINE' }, port), { message: 'the body of GET / does not contain "FINE"' });
  });

  it('finds a text that arrives in two pieces', async (t) => {
    const port = await serve(t, (_, response) => {
      response.write('O');
      setTimeout(() => response.end('K'), 20);
    });
    await probe({ expect: 'OK' }, port);
  });

  it('does not read an endless body to its end', async (t) => {
    const port = await serve(t, (_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
      };
      response.on('drain', more);
      more();
    });
    await probe({}, port);
    await assert.rejects(probe({ expect: 'OK' }, port), /does not contain/);
  });

  it('sends the configured path and headers, on a new connection at each probe', async (t) => {
    const seen: unknown[] = [];
    const ports = new Set<number | undefined>();
    const port = await serve(t, ({ method, url, headers, socket }, response) => {
      seen.push([method, url, headers.host, headers['x-target']]);
      ports.add(socket.remotePort);
      response.end();
    });
    for (let i = 0; i < 3; i++)
      await probe({ uri: '/health?x=1', headers: { Host: 'api.example', 'X-Target': 'api' } }, port);
    assert.deepEqual(seen, Array(3).fill(['GET', '/health?x=1', 'api.example', 'api']));
    assert.equal(ports.size, 3);
  });

  it('leaves no connection open, whatever the result', async (t) => {
    let answer = (response: Parameters<RequestListener>[1]): unknown => response.end('x');
    const server = createServer((_, response) => answer(response));
    const port = await listen(t, server);
    const open = (): Promise<number> =>
      new Promise((resolve, reject) =>
        server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      );
    await probe({}, port);
    await probe({ expect: 'x' }, port);
    await assert.rejects(probe({ expect: 'y' }, port));
    answer = (response) => response.write('never ends');
    await probe({}, port);
    await assert.rejects(probe({ expect: 'x' }, port, AbortSignal.timeout(50)));
    answer = () => {};
    await assert.rejects(probe({}, port, AbortSignal.timeout(50)));
    await eventually(async () => assert.equal(await open(), 0));
  });

  it('fails when the connection is refused', async (t) => {
    const server = createServer();
    const port = await listen(t, server);
    server.close();
    await once(server, 'close');
    await assert.rejects(probe({}, port), /^Error: cannot connect to 127\.0\.0\.1:\d+: connection refused$/);
  });

  it('fails when the answer is not HTTP', async (t) => {
    const server = createServer();
    const port = await listen(t, server);
    server.on('connection', (socket) => socket.end('hello\r\n\r\n'));
    await assert.rejects(probe({}, port));
  });

  it('fails after read_timeout', async (t) => {
    const port = await serve(t, () => {});
    await assert.rejects(probe({ read_timeout: '50ms' }, port), { message: 'no answer within 50 ms' });
  });

  it('speaks https, and verifies the certificate by default', async (t) => {
    const folder = await tempFolder(t);
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const made = await exec(
      [
        'openssl',
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-days',
        '1',
        '-subj',
        '/CN=api.example',
        '-keyout',
        key,
        '-out',
        cert,
      ],
      { timeoutMs: 60_000 },
    );
    assert.equal(made.code, 0, made.stderr);
    const names: (string | false | null | undefined)[] = [];
    const server = createTlsServer({ key: await readFile(key), cert: await readFile(cert) }, (_, response) =>
      response.end('OK'),
    );
    server.on('secureConnection', (socket) => names.push(socket.servername));
    const port = await listen(t, server);
    await probe({ ssl: true, ssl_verify: false, expect: 'OK' }, port);
    await probe({ ssl: true, ssl_ca: cert, ssl_server_name: 'api.example' }, port);
    assert.deepEqual(names, [false, 'api.example']);
    await assert.rejects(probe({ ssl: true }, port), /no TLS: self-signed certificate/);
  });

  it('sends another method and a body, and passes with the configured statuses', async (t) => {
    const port = await serve(t, async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      response.writeHead(body === 'ping' ? 200 : 409).end(`${request.method} ${body}`);
    });
    await probe({ method: 'POST', body: 'ping', expect: 'POST ping' }, port);
    await probe({ method: 'PUT', body: 'pong', statuses: [204, '400-409'] }, port);
    await probe({ method: 'HEAD', statuses: 409 }, port);
    await assert.rejects(probe({ method: 'POST', body: 'pong', statuses: ['200', '300-399'] }, port), {
      message: 'HTTP 409 from POST /, expected 200, 300 to 399',
    });
  });

  it('matches the body with a regular expression, and compares values in JSON', async (t) => {
    const port = await serve(t, (_, response) => response.end('{"status":"ok","db":{"up":true,"lag":[1,2]}}'));
    await probe({ matches: '"lag":\\[\\d' }, port);
    await assert.rejects(probe({ matches: '^ok$' }, port), { message: 'the body of GET / does not match ^ok$' });
    await probe({ json: { status: 'ok', 'db.up': true, 'db.lag.1': 2 } }, port);
    await assert.rejects(probe({ json: { 'db.up': false } }, port), {
      message: 'db.up in the body of GET / is true, expected false',
    });
    await assert.rejects(
      probe({ json: { 'db.constructor': 1 } }, port),
      /db\.constructor in the body of GET \/ is undefined/,
    );
    const plain = await serve(t, (_, response) => response.end('OK'));
    await assert.rejects(probe({ json: { status: 'ok' } }, plain), { message: 'the body of GET / is not JSON' });
  });

  it('follows as many redirects as configured, on the same server only', async (t) => {
    const port = await serve(t, ({ url }, response) => {
      if (url === '/new') response.end('here');
      else if (url === '/away') response.writeHead(302, { location: 'http://192.0.2.1/' }).end();
      else response.writeHead(302, { location: url === '/' ? '/old' : 'new' }).end('moved');
    });
    await probe({ follow_redirects: 2, expect: 'here', statuses: 200 }, port);
    await assert.rejects(probe({ follow_redirects: 1, statuses: 200 }, port), {
      message: 'HTTP 302 from GET /old, expected 200',
    });
    await assert.rejects(probe({ uri: '/away', follow_redirects: 9 }, port), /another server, http:\/\/192\.0\.2\.1/);
  });

  it('connects to a unix socket', async (t) => {
    const path = join(await tempFolder(t), 'api.sock');
    await assert.rejects(probe({ socket: path }, 1), { message: `cannot connect to ${path}: no such file` });
    const server = createServer((_, response) => response.end('OK')).listen(path);
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    await once(server, 'listening');
    await probe({ socket: path, expect: 'OK' }, 1);
  });

  it('speaks HTTP/2 with and without TLS, and presents its own certificate', async (t) => {
    const folder = await tempFolder(t);
    const authority = await makeAuthority(folder, 'authority');
    const server = await makeCertificate(folder, 'server', { authority, names: ['IP:127.0.0.1'] });
    const own = await makeCertificate(folder, 'nerve', { authority, names: ['DNS:nerve.test'] });
    const answer = (request: { httpVersion: string }, response: { end(text: string): unknown }): unknown =>
      response.end(`over ${request.httpVersion}`);
    const [cert, key, ca] = await Promise.all([server.cert, server.key, authority.cert].map((path) => readFile(path)));
    const asking = { requestCert: true, rejectUnauthorized: true, maxVersion: 'TLSv1.2' } as const;
    const secure = await listen(t, createSecureServer({ cert, key, ca, ...asking } as object, answer) as never);
    const plain = await listen(t, createPlainServer(answer) as never);
    const client = { ssl: true, ssl_ca: authority.cert, ssl_cert: own.cert, ssl_key: own.key };
    await probe({ ...client, http2: true, expect: 'over 2.0' }, secure);
    await probe({ http2: true, expect: 'over 2.0' }, plain);
    await assert.rejects(probe({ ssl: true, ssl_ca: authority.cert, http2: true }, secure), /^Error: no TLS: /);
    const old = await listen(
      t,
      createTlsServer({ cert, key } as object, (_, response) => response.end('OK')),
    );
    await assert.rejects(
      probe({ ssl: true, ssl_ca: authority.cert, http2: true }, old),
      /no TLS: |does not speak HTTP\/2/,
    );
  });

  it('gives up a TLS handshake that gets no answer, and closes the connection', async (t) => {
    const mute = await startPeer(() => {});
    t.after(() => mute.close());
    for (const options of [{}, { http2: true }, { ssl: true }, { ssl: true, http2: true }]) {
      await assert.rejects(probe(options, mute.port, AbortSignal.timeout(50)), { name: 'TimeoutError' });
    }
    await assert.rejects(probe({ ssl: true, open_timeout: '50ms' }, mute.port), /no connection to .* within 50 ms/);
    await eventually(() => assert.equal(mute.open, 0));
  });

  const senseless: readonly [options: object, problem: RegExp][] = [
    [{ body: 'x' }, /body needs a method other than GET/],
    [{ method: 'HEAD', expect: 'x' }, /HEAD has no body/],
    [{ ssl_cert: '/c.pem' }, /ssl_cert and ssl_key go together/],
  ];
  for (const [options, problem] of senseless) {
    it(`refuses ${JSON.stringify(options)}, options that contradict each other`, async () => {
      await assert.rejects(async () => await probe(options, 1), problem);
    });
  }
});
