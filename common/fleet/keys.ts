import { clock } from '../async/clock.ts';

/**
 * The keys of the fleet in etcd, below `fleet.path`:
 *
 * - `proxies/SYNAPSE`: a synapse that takes part
 * - `requests/REQUEST`: a question to all of them
 * - `acks/REQUEST/SYNAPSE`: the answer of one of them
 */
export interface FleetKeys {
  /** Of all proxies. */
  readonly proxies: string;
  readonly requests: string;
  /** Of the acknowledgements of all requests. */
  readonly acks: string;
}

/** The prefixes of the keys below `path`, each with a slash at its end. */
export function fleetKeys(path: string): FleetKeys {
  return { proxies: `${path}/proxies/`, requests: `${path}/requests/`, acks: `${path}/acks/` };
}

/** The key of a synapse that takes part. `id` is any text that {@link isFleetId} takes. */
export function proxyKey({ proxies }: FleetKeys, id: string): string {
  return `${proxies}${segmentOf(id)}`;
}

/** The key of a request. `request` is an id as {@link newRequestId} makes it. */
export function requestKey({ requests }: FleetKeys, request: string): string {
  return `${requests}${request}`;
}

/** The prefix of all acknowledgements of a request. */
export function acksPrefix({ acks }: FleetKeys, request: string): string {
  return `${acks}${request}/`;
}

/** The key of the acknowledgement of one synapse. */
export function ackKey(keys: FleetKeys, request: string, id: string): string {
  return `${acksPrefix(keys, request)}${segmentOf(id)}`;
}

/** The id in the key of a proxy; undefined when it is not such a key. */
export function proxyOfKey({ proxies }: FleetKeys, key: string): string | undefined {
  return key.startsWith(proxies) ? idOf(key.slice(proxies.length)) : undefined;
}

/** The id in the key of a request; undefined when it is not such a key. */
export function requestOfKey({ requests }: FleetKeys, key: string): string | undefined {
  const id = key.startsWith(requests) ? key.slice(requests.length) : '';
  return requestIdPattern.test(id) ? id : undefined;
}

/** The ids in the key of an acknowledgement; undefined when it is not such a key. */
export function ackOfKey(
  { acks }: FleetKeys,
  key: string,
): { readonly request: string; readonly id: string } | undefined {
  if (!key.startsWith(acks)) return undefined;
  const [request, segment, ...more] = key.slice(acks.length).split('/');
  if (request === undefined || segment === undefined || more.length > 0) return undefined;
  const id = idOf(segment);
  return id === undefined || !requestIdPattern.test(request) ? undefined : { request, id };
}

const requestIdPattern = /^[A-Za-z0-9_-]{16,64}$/;

/** An id that no other process has or can guess: 128 random bits. For requests, and for the sessions of proxies. */
export function newRequestId(): string {
  return clock.randomId();
}

/** True for text that can be the id of a synapse: from 1 to 128 UTF-16 units without control characters or lone surrogates. */
export function isFleetId(id: unknown): id is string {
  return typeof id === 'string' && id.length >= 1 && id.length <= 128 && !/[\p{Cc}\p{Cs}]/u.test(id);
}

/** The characters of an id that stay as they are in a key. Of all others, each byte of UTF-8 is written as `%41`. */
const plain = /[^A-Za-z0-9_.:-]/gu;

function segmentOf(id: string): string {
  return id.replace(plain, (character) => {
    let escaped = '';
    for (const byte of Buffer.from(character)) escaped += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    return escaped;
  });
}

/** The id that has this segment. No two segments have one id: any other writing of it is not an id. */
function idOf(segment: string): string | undefined {
  let id: string;
  try {
    id = decodeURIComponent(segment);
  } catch {
    return undefined;
  }
  return isFleetId(id) && segmentOf(id) === segment ? id : undefined;
}
