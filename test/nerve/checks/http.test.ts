import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Problem } from '../../../common/config.ts';
import { exec } from '../../../common/exec.ts';
import { validate } from '../../../common/schema.ts';
import { check } from '../../../nerve/checks/http.ts';
import { eventually } from '../../support/eventually.ts';
import { tempFolder } from '../../support/tempfolder.ts';

async function listen(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function serve(t: TestContext, answer: RequestListener): Promise<number> {
  return listen(t, createServer(answer));
}

/** One probe, with options as in a configuration file. */
function probe(options: object, port: number, signal: AbortSignal = AbortSignal.timeout(20_000)): Promise<void> {
  const problems: Problem[] = [];
  const valid = validate(check.schema, { uri: '/', ...options }, { path: '', problems });
  assert.deepEqual(problems, []);
  return check.create(valid, { service: 's', host: '127.0.0.1', port })(signal);
}

describe('http', () => {
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
      else await assert.rejects(probe({}, port), { message: `status ${status}, not from 200 to 399` });
    });
  }

  it('looks for the text that is expected', async (t) => {
    const port = await serve(t, (_, response) => response.end('xOKx'));
    await probe({ expect: 'OK' }, port);
    await assert.rejects(probe({ expect: 'FINE' }, port), { message: 'the body does not contain "FINE"' });
  });

  it('finds a text that came in two pieces', async (t) => {
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

  it('asks for the path with the headers it is told, on a new connection each time', async (t) => {
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

  it('leaves no connection open, whatever came of the probe', async (t) => {
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

  it('fails when nobody listens', async (t) => {
    const server = createServer();
    const port = await listen(t, server);
    server.close();
    await once(server, 'close');
    await assert.rejects(probe({}, port), /ECONNREFUSED/);
  });

  it('fails when the answer is not HTTP', async (t) => {
    const server = createServer();
    const port = await listen(t, server);
    server.on('connection', (socket) => socket.end('hello\r\n\r\n'));
    await assert.rejects(probe({}, port));
  });

  it('keeps read_timeout', async (t) => {
    const port = await serve(t, () => {});
    await assert.rejects(probe({ read_timeout: '50ms' }, port), /Headers Timeout/);
  });

  it('speaks https, and verifies the certificate when told to', async (t) => {
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
      { timeout: 60_000 },
    );
    assert.equal(made.code, 0, made.stderr);
    const names: (string | false | null | undefined)[] = [];
    const server = createTlsServer({ key: await readFile(key), cert: await readFile(cert) }, (_, response) =>
      response.end('OK'),
    );
    server.on('secureConnection', (socket) => names.push(socket.servername));
    const port = await listen(t, server);
    await probe({ ssl: true, expect: 'OK' }, port);
    await probe({ ssl: true, ssl_server_name: 'api.example' }, port);
    assert.deepEqual(names, [false, 'api.example']);
    await assert.rejects(probe({ ssl: true, ssl_verify: true }, port), /self-signed certificate/);
  });

  const wrong: readonly [options: object, problem: RegExp][] = [
    [{}, /uri/],
    [{ uri: 'health' }, /must be a path that starts with \/, not "health"/],
    [{ uri: '/a b' }, /must be a path/],
    [{ uri: '/a\r\nX: y' }, /must be a path/],
    [{ uri: '/', headers: { 'X Y': '1' } }, /"X Y" is no header name/],
    [{ uri: '/', headers: { X: 'a\r\nY: b' } }, /X must be a one-line string/],
    [{ uri: '/', expect: 5 }, /must be a string/],
    [{ uri: '/', read_timeout: 0 }, /longer than 0/],
  ];
  for (const [options, problem] of wrong) {
    it(`refuses ${JSON.stringify(options)}`, () => {
      const problems: Problem[] = [];
      validate(check.schema, options, { path: 'checks[0]', problems });
      assert.match(problems.map(({ path, message }) => `${path}: ${message}`).join('\n'), problem);
    });
  }

  const deadlines: readonly [options: object, timeout: number, deadline: number][] = [
    [{}, 100, 100],
    [{ read_timeout: 5 }, 100, 5000],
    [{ open_timeout: 1, read_timeout: 2, ssl_timeout: 3 }, 100, 6000],
    [{ open_timeout: 1 }, 100, 1100],
    [{ read_timeout: 0.1 }, 2000, 2000],
  ];
  for (const [options, timeout, deadline] of deadlines) {
    it(`may take ${deadline} ms with timeout ${timeout} and ${JSON.stringify(options)}`, () => {
      const valid = validate(check.schema, { uri: '/', ...options }, { path: '', problems: [] });
      assert.equal(check.deadline?.(valid, timeout), deadline);
    });
  }
});
