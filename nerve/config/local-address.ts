import { createSocket } from 'node:dgram';
import { networkInterfaces } from 'node:os';

/** An address family. */
export type Family = 'ipv4' | 'ipv6';

/** Addresses reserved for documentation (RFC 5737, RFC 3849): the kernel routes them like the rest of the internet. */
const documentationAddress = { ipv4: '192.0.2.1', ipv6: '2001:db8::1' } as const;

/**
 * This host's primary address, which the kernel would use as the source of a packet to the internet; IPv4 before IPv6
 * without a `family`. Sends nothing. Without a default route, the first address that is not loopback, or undefined.
 */
export async function primaryAddress(family?: Family): Promise<string | undefined> {
  const families: readonly Family[] = family === undefined ? ['ipv4', 'ipv6'] : [family];
  for (const each of families) {
    const address = await routedAddress(each);
    if (address !== undefined && isUsable(address)) return address;
  }
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return firstOf(all, families);
}

/**
 * The first address of a network interface; IPv4 before IPv6 without a `family`.
 * @throws listing the interfaces of this host, or naming the family that the interface lacks
 */
export function interfaceAddress(name: string, family?: Family): string {
  const interfaces = networkInterfaces();
  const list = interfaces[name];
  if (list === undefined) {
    throw new Error(
      `no network interface ${name} with an address here; there are ${Object.keys(interfaces).join(', ')}`,
    );
  }
  const address = firstOf(list, family === undefined ? ['ipv4', 'ipv6'] : [family], true);
  if (address !== undefined) return address;
  throw new Error(`network interface ${name} has no ${family ?? 'usable'} address`);
}

function routedAddress(family: Family): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(family === 'ipv4' ? 'udp4' : 'udp6');
    const done = (address: string | undefined): void => {
      socket.close();
      resolve(address);
    };
    socket.once('error', () => done(undefined));
    // Connecting a UDP socket only chooses its route.
    socket.connect(9, documentationAddress[family], () => done(socket.address().address));
  });
}

interface Address {
  readonly address: string;
  readonly family: string;
  readonly internal: boolean;
}

function firstOf(list: readonly Address[], families: readonly Family[], loopback = false): string | undefined {
  const usable = list.filter(({ address, internal }) => (loopback || !internal) && isUsable(address));
  const sorted = families.flatMap((each) => usable.filter(({ family }) => family.toLowerCase() === each));
  return sorted[0]?.address;
}

/** Not link-local: such an address means nothing on another host without a zone. */
function isUsable(address: string): boolean {
  return !/^(?:169\.254\.|fe[89ab][0-9a-f]:)/i.test(address);
}
