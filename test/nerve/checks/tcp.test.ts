import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { check } from '../../../nerve/checks/tcp.ts';

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

describe('tcp', () => {
  it('passes while somebody listens, and fails when not', async (t) => {
    const { port, close } = await listener(t);
    const probe = check.create({}, { service: 's', host: '127.0.0.1', port });
    await probe(signal);
    await close();
    await assert.rejects(probe(signal), (error: Error) => {
      assert.equal(error.message, `cannot connect to 127.0.0.1:${port}`);
      assert.match((error.cause as Error).message, /ECONNREFUSED/);
      return true;
    });
  });

  it('finds a host by its name, anew at each probe', async (t) => {
    const { port } = await listener(t);
    await check.create({}, { service: 's', host: 'localhost', port })(signal);
    await assert.rejects(
      check.create({}, { service: 's', host: 'no.such.host.invalid', port })(signal),
      /cannot connect to no/,
    );
  });

  it('gives up when its signal aborts', async () => {
    // An address of RFC 5737: nobody answers, nobody refuses.
    const probe = check.create({}, { service: 's', host: '192.0.2.1', port: 9 });
    await assert.rejects(probe(AbortSignal.timeout(50)), /cannot connect/);
  });
});
