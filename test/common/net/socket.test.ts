import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { formatAddress, openSocket } from '../../../common/net/socket.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { eventually } from '../../support/eventually.ts';
import { startPeer } from '../../support/servers/bad-peers.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const host = '127.0.0.1';
const never = new AbortController().signal;

describe('a connection', () => {
  it('is opened, and destroyed when its signal aborts', async (t) => {
    const peer = await startPeer(() => {});
    t.after(() => peer.close());
    const controller = new AbortController();
    const socket = await openSocket({ host, port: peer.port }, controller.signal);
    socket.on('error', () => {});
    await eventually(() => assert.equal(peer.open, 1));
    controller.abort();
    await eventually(() => assert.equal(peer.open, 0));
  });

  it('is not opened with a signal that has aborted', async (t) => {
    const peer = await startPeer(() => {});
    t.after(() => peer.close());
    await assert.rejects(openSocket({ host, port: peer.port }, AbortSignal.abort(new Error('over'))), /over/);
    assert.equal(peer.accepted, 0);
  });

  it('reports in plain words why it cannot be opened', async (t) => {
    const port = await freePort();
    await assert.rejects(openSocket({ host, port }, never), {
      message: `cannot connect to 127.0.0.1:${port}: connection refused`,
    });
    const path = join(await tempFolder(t), 'none.sock');
    await assert.rejects(openSocket({ path }, never), { message: `cannot connect to ${path}: no such file` });
    await assert.rejects(openSocket({ host: 'no.such.host.invalid', port }, never), /cannot connect to no\.such/);
  });
});

describe('an address', () => {
  it('is written as HOST:PORT, [ADDRESS]:PORT or a path', () => {
    assert.equal(formatAddress({ host: '::1', port: 80 }), '[::1]:80');
    assert.equal(formatAddress({ host: 'db.test', port: 5432 }), 'db.test:5432');
    assert.equal(formatAddress({ path: '/run/db.sock' }), '/run/db.sock');
  });
});
