import type { Client as UndiciClient } from 'undici';
import requestOf from 'undici/lib/api/api-request.js';
import Client from 'undici/lib/dispatcher/client.js';

/**
 * One connection of undici. Not from 'undici' itself, which loads its WebSockets, caches and proxies as well: they would
 * take 8 MB of each nerve that has an http check.
 */
export type HttpClient = Pick<UndiciClient, 'request' | 'destroy'>;

/** Opens a client as `new Client` of undici does. */
export function openClient(origin: string, options: UndiciClient.Options): HttpClient {
  const client = new Client(origin, options);
  return { request: requestOf.bind(client) as UndiciClient['request'], destroy: () => client.destroy() };
}
