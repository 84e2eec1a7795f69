import type { Socket } from 'node:net';
import { abortable } from '../../common/async/abort.ts';
import { type Address, formatAddress, openSocket } from '../../common/net/socket.ts';
import { failure, oneLine } from '../../common/reason.ts';
import type { CheckPlugin } from '../check.ts';

export interface TcpCheckOptions {
  readonly socket: string | null;
  readonly send: string | null;
  readonly expect: string | null;
}

export const check: CheckPlugin<TcpCheckOptions> = {
  description: 'Passes when a TCP connection can be opened and, if asked, the other side says a certain text.',
  schema: {
    socket: { doc: 'unix socket to use instead of host and port', format: 'optional-non-empty-string', default: null },
    send: {
      doc: 'text to send once connected, such as "PING\\r\\n"; by default none',
      format: 'optional-non-empty-string',
      default: null,
      sensitive: true,
    },
    expect: {
      doc: 'text that the other side must say; by default it need not say anything',
      format: 'optional-non-empty-string',
      default: null,
    },
  },
  create({ socket: path, send, expect }, { host, port }) {
    const address: Address = path === null ? { host, port } : { path };
    // The name is looked up at each probe: an address remembered from the start would go stale.
    return async (signal) => {
      const socket = await openSocket(address, signal);
      try {
        if (send !== null) socket.write(send);
        if (expect !== null) await abortable(hear(socket, expect), signal);
      } catch (error) {
        signal.throwIfAborted();
        throw failure(formatAddress(address), error);
      } finally {
        socket.destroy();
      }
    };
  },
};

/** How much is listened to, bytes. */
const maxAnswer = 64 * 1024;

async function hear(socket: Socket, text: string): Promise<void> {
  const wanted = Buffer.from(text);
  let heard = Buffer.alloc(0);
  for await (const chunk of socket) {
    heard = Buffer.concat([heard, chunk as Buffer]);
    if (heard.includes(wanted)) return;
    if (heard.length > maxAnswer) break;
  }
  const said = heard.length === 0 ? 'nothing' : JSON.stringify(oneLine(heard.toString()));
  throw new Error(`expected ${JSON.stringify(text)}, but it said ${said}`);
}
