import { createSocket } from 'node:dgram';
import { networkInterfaces } from 'node:os';

/** An address of RFC 5737 that nobody has; routes to it go where routes to the rest of the world go. */
const elsewhere = '192.0.2.1';

/**
 * This host's primary address: the one that the kernel would send from. Sends nothing. Without a default route, the
 * first address that is not loopback, IPv4 before IPv6; undefined when there is none.
 */
export async function primaryAddress(): Promise<string | undefined> {
  return (await routedAddress()) ?? firstAddress();
}

function routedAddress(): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const done = (address: string | undefined): void => {
      socket.close();
      resolve(address);
    };
    socket.once('error', () => done(undefined));
    // Connecting a UDP socket only chooses its route.
    socket.connect(9, elsewhere, () => done(socket.address().address));
  });
}

function firstAddress(): string | undefined {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const usable = addresses.filter(({ internal, address }) => !internal && !/^(?:169\.254\.|fe80:)/i.test(address));
  return (usable.find(({ family }) => family === 'IPv4') ?? usable[0])?.address;
}
