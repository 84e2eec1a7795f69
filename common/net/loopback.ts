import { isIPv4 } from 'node:net';

/** Whether an address or name, without brackets and port, is on this host: `localhost`, `::1`, 127.0.0.0/8. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}
