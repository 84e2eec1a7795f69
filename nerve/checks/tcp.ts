import { connect } from 'node:net';
import type { CheckPlugin } from '../check.ts';

export const check: CheckPlugin<Record<never, never>> = {
  description: 'Passes when a TCP connection to the host and port can be opened.',
  schema: {},
  create(_options, { host, port }) {
    // The name is looked up at each probe: an address remembered from the start would go stale.
    return (signal) =>
      new Promise((resolve, reject) => {
        const socket = connect({ host, port, signal });
        socket.once('error', (error) => reject(new Error(`cannot connect to ${host}:${port}`, { cause: error })));
        socket.once('connect', () => {
          const { localPort, remotePort, localAddress, remoteAddress } = socket;
          socket.destroy();
          // With nobody listening on a port of the ephemeral range, the kernel may connect a socket to itself.
          if (localPort === remotePort && localAddress === remoteAddress) {
            reject(new Error(`cannot connect to ${host}:${port}: nobody listens`));
          } else resolve();
        });
      });
  },
};
