import assert from 'node:assert/strict';
import { once } from 'node:events';
import { stat, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { createServer, connect as dial } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type AdminOptions, BadRequest, serveAdmin } from '../../../common/admin/admin.ts';
import { control, followControl, readState } from '../../../common/admin/client.ts';
import { exec } from '../../../common/daemon/exec.ts';
import { silentLog } from '../../../common/daemon/log.ts';
import { patienceMs } from '../../support/eventually.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const answers = { ready: () => null, state: () => ({ services: ['api'] }) };

async function serve(t: TestContext, options: Partial<AdminOptions>) {
  const end = new AbortController();
  t.after(() => end.abort());
  const server = await serveAdmin({ listen: '127.0.0.1:0', ...answers, ...options }, { log: silentLog }, end.signal);
  return { ...server, url: `http://${server.address}`, end };
}

describe('serveAdmin over TCP', () => {
  it('answers GET and HEAD on its paths', async (t) => {
    const { url } = await serve(t, {});
    const health = await fetch(`${url}/healthz`);
    assert.deepEqual([health.status, await health.text()], [200, 'ok\n']);
    const state = await fetch(`${url}/api/v1/state?x=1`);
    assert.deepEqual(
      [state.headers.get('content-type'), await state.json()],
      ['application/json', { services: ['api'] }],
    );
    const metrics = await fetch(`${url}/metrics`);
    assert.match(metrics.headers.get('content-type') ?? '', /^text\/plain/);
    await metrics.text();
    const head = await fetch(`${url}/readyz`, { method: 'HEAD' });
    assert.deepEqual([head.status, head.headers.get('content-length'), await head.text()], [200, '6', '']);
  });

  it('refuses a request whose Host header names another host', async (t) => {
    const { address } = await serve(t, { hosts: ['synapse', '*.internal'] });
    const [host = '', port] = (address ?? '').split(':');
    const ask = (name: string) =>
      new Promise<readonly [number | undefined, string]>((resolve, reject) => {
        const options = { host, port, path: '/healthz', headers: { Host: name }, agent: false };
        get(options, async (answer) => resolve([answer.statusCode, (await answer.toArray()).join('')])).on(
          'error',
          reject,
        );
      });
    for (const name of [
      '127.0.0.1',
      `localhost:${port}`,
      '[::1]:1',
      '10.1.2.3:80',
      'synapse:3211',
      'A.Internal.',
      hostname(),
    ]) {
      assert.deepEqual(await ask(name), [200, 'ok\n'], name);
    }
    for (const name of [
      'evil.example',
      `evil.example:${port}`,
      '127.0.0.1.evil.example',
      'internal',
      'localhost.evil.example',
    ]) {
      const [status, body] = await ask(name);
      assert.equal(status, 421, name);
      assert.match(body, /use an IP address or localhost, or add the name to admin\.hosts/);
    }
  });

  it('answers a request without a Host header, as HTTP/1.0 allows', async (t) => {
    const { address } = await serve(t, {});
    const [host, port] = (address ?? '').split(':');
    const socket = dial(Number(port), host);
    socket.write('GET /healthz HTTP/1.0\r\n\r\n');
    const [data] = (await once(socket, 'data')) as [Buffer];
    assert.match(data.toString(), /^HTTP\/1\.1 200 /);
    socket.destroy();
  });

  it('refuses a request with two Host headers, in any order and spelling', async (t) => {
    const { address } = await serve(t, {});
    const [host, port] = (address ?? '').split(':');
    for (const headers of [
      'Host: localhost\r\nHost: evil.example',
      'Host: evil.example\r\nhost: localhost',
      'HOST: localhost\r\nHost: localhost',
    ]) {
      const socket = dial(Number(port), host);
      socket.write(`GET /healthz HTTP/1.1\r\n${headers}\r\n\r\n`);
      const [data] = (await once(socket, 'data')) as [Buffer];
      assert.match(data.toString(), /^HTTP\/1\.1 400 /, headers);
      socket.destroy();
    }
  });

  it('says why it is not ready', async (t) => {
    const { url } = await serve(t, { ready: () => 'no lease' });
    const ready = await fetch(`${url}/readyz`);
    assert.deepEqual([ready.status, await ready.text()], [503, 'no lease\n']);
  });

  for (const path of ['/', '/nope', '/__proto__', '/constructor', '/api/v1/drain']) {
    it(`answers 404 in JSON to ${path}`, async (t) => {
      const { url } = await serve(t, { control: { '/api/v1/drain': () => assert.fail('reached over TCP') } });
      const response = await fetch(url + path, { method: 'POST', body: '{}' });
      assert.equal(response.status, 404);
      assert.deepEqual(((await response.json()) as { paths: unknown }).paths, [
        '/healthz',
        '/readyz',
        '/metrics',
        '/api/v1/state',
      ]);
    });
  }

  for (const method of ['POST', 'PUT', 'DELETE']) {
    it(`answers 405 to ${method}`, async (t) => {
      const { url } = await serve(t, {});
      const response = await fetch(`${url}/api/v1/state`, { method });
      assert.deepEqual([response.status, response.headers.get('allow')], [405, 'GET, HEAD']);
      assert.match(((await response.json()) as { error: string }).error, new RegExp(`^${method} is not allowed`));
    });
  }

  it('answers 500 when the state cannot be had, and goes on', async (t) => {
    let broken = true;
    const state = (): unknown => {
      if (broken) throw new Error('broken');
      return {};
    };
    const { url } = await serve(t, { state });
    const response = await fetch(`${url}/api/v1/state`);
    assert.deepEqual([response.status, await response.json()], [500, { error: 'broken' }]);
    broken = false;
    assert.equal((await fetch(`${url}/api/v1/state`)).status, 200);
  });

  it('cuts off a client that does not finish its request', async (t) => {
    const { address } = await serve(t, {});
    const [host, port] = (address ?? '').split(':');
    const socket = dial(Number(port), host);
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ');
    const [data] = (await once(socket, 'data')) as [Buffer];
    assert.match(data.toString(), /^HTTP\/1\.1 408 /);
  });

  it('names the option when the address is in use', async (t) => {
    const { address } = await serve(t, {});
    await assert.rejects(serve(t, { listen: String(address) }), {
      message: `admin.listen: cannot listen on ${address}: the address is in use; choose another one, or false for none`,
    });
  });

  it('says why an address cannot be listened on', async (t) => {
    // 192.0.2.0/24 is for documentation (RFC 5737): no host has these addresses.
    await assert.rejects(serve(t, { listen: '192.0.2.1:0' }), {
      message: 'admin.listen: cannot listen on 192.0.2.1:0: this host has no such address',
    });
  });

  it('names a missing folder of the control socket', async (t) => {
    const folder = join(await tempFolder(t), 'none');
    await assert.rejects(serve(t, { listen: false, control_socket: join(folder, 'x.sock') }), (error: Error) => {
      assert.equal((error.cause as Error).message, `the folder ${folder} does not exist`);
      return true;
    });
  });

  it('serves nothing when it is off', async (t) => {
    assert.equal((await serve(t, { listen: false })).address, null);
  });

  it('closes all connections when the signal aborts', async (t) => {
    const { address, end, closed } = await serve(t, {});
    const [host, port] = (address ?? '').split(':');
    const socket = dial(Number(port), host);
    await once(socket, 'connect');
    end.abort();
    await Promise.all([closed, once(socket, 'close')]);
  });
});

describe('serveAdmin over the control socket', () => {
  const routes = {
    '/api/v1/drain': (body: unknown) => ({ drained: body }),
    '/api/v1/bad': () => {
      throw new BadRequest('no such service');
    },
  };

  async function serveControl(t: TestContext, mode = 0o600) {
    const path = join(await tempFolder(t), 'control.sock');
    const server = await serve(t, { listen: false, control_socket: path, control_socket_mode: mode, control: routes });
    return { ...server, path, target: { listen: false, control_socket: path } as const };
  }

  for (const mode of [0o600, 0o660]) {
    it(`has permissions ${mode.toString(8)}, and is gone at the end`, async (t) => {
      const { path, end, closed } = await serveControl(t, mode);
      assert.equal((await stat(path)).mode & 0o777, mode);
      end.abort();
      await closed;
      await assert.rejects(stat(path), { code: 'ENOENT' });
    });
  }

  it('takes control requests and answers reads', async (t) => {
    const { target } = await serveControl(t);
    assert.deepEqual(await control(target, '/api/v1/drain', { service: 'api' }, { program: 'nerve' }), {
      drained: { service: 'api' },
    });
    assert.deepEqual(await readState(target, { program: 'nerve' }), { services: ['api'] });
  });

  it('tells the client why a request is refused', async (t) => {
    const { target, path } = await serveControl(t);
    await assert.rejects(control(target, '/api/v1/bad', {}, { program: 'nerve' }), {
      message: `nerve at ${path} refuses: no such service`,
    });
    await assert.rejects(
      control(target, '/api/v1/drain', 'x'.repeat(70_000), { program: 'nerve' }),
      /the body has more than 65536 bytes/,
    );
    await assert.rejects(control(target, '/healthz', {}, { program: 'nerve' }), /POST is not allowed on \/healthz/);
  });

  it('takes over a socket that a crash left behind', async (t) => {
    const path = join(await tempFolder(t), 'control.sock');
    const code = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    assert.equal((await exec([process.execPath, '-e', code], { timeoutMs: patienceMs })).signal, 'SIGKILL');
    assert.ok((await stat(path)).isSocket());
    await serve(t, { listen: false, control_socket: path });
    assert.deepEqual(await readState({ listen: false, control_socket: path }, { program: 'nerve' }), {
      services: ['api'],
    });
  });

  it('leaves a socket alone on which another process answers', async (t) => {
    const { path, target } = await serveControl(t);
    await assert.rejects(serve(t, { listen: false, control_socket: path }), (error: Error) => {
      assert.equal(error.message, `admin.control_socket: cannot listen on ${path}`);
      assert.equal((error.cause as Error).message, `another process answers on ${path}`);
      return true;
    });
    await readState(target, { program: 'nerve' });
  });

  it('removes no file other than a socket', async (t) => {
    const path = join(await tempFolder(t), 'precious');
    await writeFile(path, 'text');
    await assert.rejects(serve(t, { listen: false, control_socket: path }), /cannot listen/);
    assert.ok((await stat(path)).isFile());
  });
});

describe('readState', () => {
  it('says that the daemon does not run', async (t) => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, 'close');
    await assert.rejects(readState({ listen: `127.0.0.1:${port}`, control_socket: null }, { program: 'nerve' }), {
      message: `nerve is not running: nothing answers at 127.0.0.1:${port}`,
    });
    const path = join(await tempFolder(t), 'none.sock');
    await assert.rejects(readState({ listen: false, control_socket: path }, { program: 'nerve' }), {
      message: `nerve is not running: nothing answers at ${path}`,
    });
  });

  it('gives up on a daemon that does not answer', async (t) => {
    const server = createServer().listen(0, '127.0.0.1');
    t.after(() => server.close());
    server.on('connection', (socket) => t.after(() => socket.destroy()));
    await once(server, 'listening');
    const listen = `127.0.0.1:${(server.address() as { port: number }).port}`;
    await assert.rejects(readState({ listen, control_socket: null }, { program: 'nerve', timeoutMs: 100 }), {
      message: `nerve at ${listen} did not answer within 100 ms`,
    });
  });

  it('streams an answer that takes a while, line by line', async (t) => {
    const path = join(await tempFolder(t), 'control.sock');
    let go = (): void => {};
    const wait = new Promise<void>((resolve) => {
      go = resolve;
    });
    const lines = async function* () {
      yield { step: 1 };
      await wait;
      yield { step: 2 };
    };
    await serve(t, { listen: false, control_socket: path, control: { '/api/v1/wait': () => lines() } });
    const target = { listen: false, control_socket: path } as const;
    const seen: unknown[] = [];
    for await (const line of followControl(target, '/api/v1/wait', {}, { program: 'nerve' })) {
      seen.push(line);
      go();
    }
    assert.deepEqual(seen, [{ step: 1 }, { step: 2 }]);
  });

  it('tells the route when the client of a streamed answer has gone', async (t) => {
    const path = join(await tempFolder(t), 'control.sock');
    let onGone = (): void => {};
    const gone = new Promise<void>((resolve) => {
      onGone = resolve;
    });
    const route = async function* (_: unknown, signal: AbortSignal) {
      signal.addEventListener('abort', onGone);
      yield 1;
      await gone;
    };
    await serve(t, { listen: false, control_socket: path, control: { '/api/v1/wait': route } });
    const target = { listen: false, control_socket: path } as const;
    for await (const _ of followControl(target, '/api/v1/wait', {}, { program: 'nerve' })) break;
    await gone;
  });

  it('says why a streamed answer is refused, missing or cut off', async (t) => {
    const path = join(await tempFolder(t), 'control.sock');
    let go = (): void => {};
    const wait = new Promise<void>((resolve) => {
      go = resolve;
    });
    const cut = async function* () {
      yield 1;
      await wait;
      throw new Error('broken');
    };
    const refuse = () => {
      throw new BadRequest('name a service');
    };
    const { end } = await serve(t, {
      listen: false,
      control_socket: path,
      control: { '/bad': refuse, '/cut': () => cut() },
    });
    const target = { listen: false, control_socket: path } as const;
    const drain = async (route: string) => {
      for await (const _ of followControl(target, route, {}, { program: 'nerve' })) go();
    };
    await assert.rejects(drain('/bad'), { message: `nerve at ${path} refuses: name a service` });
    await assert.rejects(drain('/other'), { name: 'UnknownRoute', message: `nerve at ${path} has no /other` });
    await assert.rejects(drain('/cut'), { message: `nerve at ${path} has ended, or closed this connection` });
    end.abort();
  });

  it('says that the daemon may still carry out a control request that got no answer', async (t) => {
    const path = join(await tempFolder(t), 'hung.sock');
    const server = createServer().listen(path);
    t.after(() => server.close());
    server.on('connection', (socket) => t.after(() => socket.destroy()));
    await once(server, 'listening');
    const asked = { program: 'nerve', timeoutMs: 100 };
    await assert.rejects(control({ listen: false, control_socket: path }, '/api/v1/drain', {}, asked), {
      message: `nerve at ${path} did not answer within 100 ms; it may still do it`,
    });
  });

  it('says when another program answers', async (t) => {
    const server = createServer((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello')).listen(
      0,
      '127.0.0.1',
    );
    t.after(() => server.close());
    await once(server, 'listening');
    const listen = `127.0.0.1:${(server.address() as { port: number }).port}`;
    await assert.rejects(readState({ listen, control_socket: null }, { program: 'nerve' }), {
      message: `the program that answers at ${listen} is not nerve`,
    });
  });

  it('says what to configure when nothing can be asked', async () => {
    const target = { listen: false, control_socket: null } as const;
    await assert.rejects(
      readState(target, { program: 'nerve' }),
      /admin\.listen has no fixed port, and there is no admin\.control_socket/,
    );
    await assert.rejects(control(target, '/', {}, { program: 'nerve' }), /set admin\.control_socket/);
  });
});
