import type { Socket } from 'node:net';
import { abortable } from '../../common/async/abort.ts';
import { type Address, formatAddress, openSocket } from '../../common/net/socket.ts';
import { failure, oneLine } from '../../common/reason.ts';
import type { CheckPlugin } from '../check.ts';

/** The options of the check `tcp`. */
export interface TcpCheckOptions {
  readonly socket: string | null;
  readonly send: string | null;
  readonly expect: string | null;
}

/** `tcp` */
export const check: CheckPlugin<TcpCheckOptions> = {
  description: 'Passes when a TCP connection opens and, with expect, the server sends an expected text.',
  schema: {
    socket: {
      doc: 'unix socket to use instead of host and port',
      format: 'optional-non-empty-string',
      names: 'socket',
      default: null,
    },
    send: {
      doc: 'text to send once connected, such as "PING\\r\\n"; by default none',
      format: 'optional-non-empty-string',
      default: null,
      sensitive: true,
    },
    expect: {
      doc: 'text that the server must send; by default none',
      format: 'optional-non-empty-string',
      default: null,
    },
  },
  create({ socket: path, send, expect }, { host, port }) {
    const address: Address = path === null ? { host, port } : { path };
    // Each probe looks the name up again: its address may change.
    return async (signal) => {
      const socket = await openSocket(address, signal);
      try {
        if (send !== null) socket.write(send);
        if (expect !== null) await abortable(readUntil(socket, expect), signal);
      } catch (error) {
        signal.throwIfAborted();
        throw failure(formatAddress(address), error);
      } finally {
        socket.destroy();
      }
    };
  },
};

/** How much of the answer the check searches, bytes. */
const maxAnswer = 64 * 1024;

/** @throws when the connection ends, or the answer is too long, without the text */
async function readUntil(socket: Socket, text: string): Promise<void> {
  const expected = Buffer.from(text);
  let received = Buffer.alloc(0);
  for await (const chunk of socket) {
    received = Buffer.concat([received, chunk as Buffer]);
    if (received.includes(expected)) return;
    if (received.length > maxAnswer) break;
  }
  const answer = received.length === 0 ? 'nothing' : JSON.stringify(oneLine(received.toString()));
  throw new Error(`expected ${JSON.stringify(text)}, received ${answer}`);
}
