import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { check } from '../../../nerve/checks/tcp.ts';
import { checkDeps } from '../../support/daemons/check.ts';
import { eventually } from '../../support/eventually.ts';
import { startPeer } from '../../support/servers/bad-peers.ts';
import { tempFolder } from '../../support/temp-folder.ts';

async function listener(t: TestContext): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    server.close();
    await once(server, 'close');
  };
  return { port: (server.address() as AddressInfo).port, close };
}

const signal = new AbortController().signal;
const none = { socket: null, send: null, expect: null };

describe('the tcp check', () => {
  it('passes while the port is open, and fails when it is not', async (t) => {
    const { port, close } = await listener(t);
    const probe = check.create(none, { service: 's', host: '127.0.0.1', port }, checkDeps);
    await probe(signal);
    await close();
    await assert.rejects(probe(signal), { message: `cannot connect to 127.0.0.1:${port}: connection refused` });
  });

  it('looks up the name of the host at each probe', async (t) => {
    const { port } = await listener(t);
    await check.create(none, { service: 's', host: 'localhost', port }, checkDeps)(signal);
    await assert.rejects(
      check.create(none, { service: 's', host: 'no.such.host.invalid', port }, checkDeps)(signal),
      /cannot connect to no/,
    );
  });

  it('gives up when its signal aborts', async () => {
    // An address of RFC 5737: no answer and no refusal.
    const probe = check.create(none, { service: 's', host: '192.0.2.1', port: 9 }, checkDeps);
    await assert.rejects(probe(AbortSignal.timeout(50)), /aborted due to timeout|cannot connect/);
  });

  it('sends a text and waits for the expected answer', async (t) => {
    const greeter = await startPeer((socket) => {
      socket.write('220 mail ');
      socket.on('data', (data) => socket.end(String(data) === 'NOOP\r\n' ? '250 OK\r\n' : '500 what?\r\n'));
    });
    t.after(() => greeter.close());
    const target = { service: 's', host: '127.0.0.1', port: greeter.port };
    await check.create({ ...none, expect: '220 ' }, target, checkDeps)(signal);
    await check.create({ ...none, send: 'NOOP\r\n', expect: 'mail 250 OK' }, target, checkDeps)(signal);
    await assert.rejects(check.create({ ...none, send: 'HELO', expect: '250' }, target, checkDeps)(signal), {
      message: `127.0.0.1:${greeter.port}: expected "250", received "220 mail 500 what?"`,
    });
    await assert.rejects(check.create({ ...none, expect: 'bye' }, target, checkDeps)(AbortSignal.timeout(50)), {
      name: 'TimeoutError',
    });
    await eventually(() => assert.equal(greeter.open, 0));
  });

  it('connects to a unix socket', async (t) => {
    const path = join(await tempFolder(t), 'peer.sock');
    const address = { service: 's', host: '127.0.0.1', port: 1 };
    const probe = check.create({ ...none, socket: path, expect: 'hi' }, address, checkDeps);
    await assert.rejects(probe(signal), { message: `cannot connect to ${path}: no such file` });
    const peer = await startPeer((socket) => void socket.end('hi'), path);
    t.after(() => peer.close());
    await probe(signal);
  });
});
