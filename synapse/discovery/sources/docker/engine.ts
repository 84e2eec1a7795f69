import { type IncomingMessage, request } from 'node:http';
import { request as requestTls } from 'node:https';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { within } from '../../../../common/async/deadline.ts';
import { sleep } from '../../../../common/async/supervise.ts';
import { isObject } from '../../../../common/config/formats.ts';
import { type TlsClientOptions, tlsClient } from '../../../../common/net/tls-client.ts';

/** Where an engine's API listens: a unix socket or HTTP, with `tls` over TLS. */
export type EngineAddress =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number; readonly tls?: TlsClientOptions };

/** A running container, as far as it matters here (Docker Engine API 1.24 and later, `GET /containers/json`). */
export interface Container {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly labels: Readonly<Record<string, unknown>>;
  readonly ports: readonly PublishedPort[];
  /** Its own addresses, by network. */
  readonly networks: ReadonlyMap<string, string>;
}

export interface PublishedPort {
  readonly inside: number;
  readonly outside: number;
  /** The host's address it is published on; empty for all of them. */
  readonly address: string;
}

export interface FollowOptions {
  /** Labels, `key` or `key=value`, that containers must have. */
  readonly labels: readonly string[];
  /** The longest time between lists, milliseconds. */
  readonly interval: number;
  /** For one answer, milliseconds. */
  readonly timeout: number;
}

/** What can change the list. Without a filter, every health check inside a container is an event. */
const events = ['start', 'die', 'pause', 'unpause', 'rename', 'destroy', 'connect', 'disconnect'];
/**
 * How long after an event to list once more, milliseconds: the engine tells of `pause` and `unpause` before its own list
 * shows them (moby, daemon/pause.go).
 */
const settling = 500;
/** Some thousand containers with many labels each. */
const maxBytes = 64 << 20;

/**
 * Lists the running containers once, then again at every event, a moment after it and every interval, until `signal`
 * aborts.
 * @throws when the engine cannot be reached, does not answer in time, or ends its stream of events
 */
export async function followContainers(
  engine: EngineAddress,
  options: FollowOptions,
  onList: (containers: readonly Container[]) => void,
  signal: AbortSignal,
): Promise<void> {
  const { labels, interval, timeout } = options;
  const end = new AbortController();
  let awake = new AbortController();
  const stop = (): void => {
    end.abort(signal.reason);
    awake.abort();
  };
  signal.addEventListener('abort', stop, { once: true });
  let broken: Error | undefined;
  try {
    // The stream comes first: what changes while we list is an event.
    const filters = { type: ['container', 'network'], event: events };
    const stream = await within(timeout, 'events', () => get(engine, '/events', filters, end.signal), signal);
    let heard = false;
    stream.on('data', () => {
      heard = true;
      awake.abort();
    });
    stream.on('error', (error) => {
      broken = error;
      awake.abort();
    });
    stream.on('close', () => {
      broken ??= new Error('the stream of events ended');
      awake.abort();
    });

    while (!signal.aborted) {
      awake = new AbortController();
      const changed = heard;
      heard = false;
      if (broken !== undefined) throw broken;
      const filter = { status: ['running'], ...(labels.length > 0 && { label: labels }) };
      onList(await within(timeout, 'containers', (limit) => listContainers(engine, filter, limit), signal));
      await sleep(changed ? Math.min(settling, interval) : interval, awake.signal);
    }
  } catch (error) {
    if (signal.aborted) return;
    throw new Error(`Docker at ${nameOf(engine)}`, { cause: error });
  } finally {
    signal.removeEventListener('abort', stop);
    end.abort();
  }
}

/** For messages. */
function nameOf(engine: EngineAddress): string {
  return 'socketPath' in engine ? engine.socketPath : `${engine.host}:${engine.port}`;
}

async function listContainers(
  engine: EngineAddress,
  filters: object,
  signal: AbortSignal,
): Promise<readonly Container[]> {
  const answer = await get(engine, '/containers/json', filters, signal);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new Error(`containers: more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  const list: unknown = JSON.parse(Buffer.concat(chunks).toString());
  if (!Array.isArray(list)) throw new Error('containers: the answer is no list');
  return list.map(readContainer);
}

/** The answer's head; its body is still to come. */
async function get(
  engine: EngineAddress,
  path: string,
  filters: object,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const target = `${path}?filters=${encodeURIComponent(JSON.stringify(filters))}`;
  const tls = 'tls' in engine && engine.tls !== undefined ? await tlsClient(engine.tls, engine.host) : undefined;
  const { host: name = 'docker', ...rest } = tls ?? {};
  const options = {
    ...rest,
    ...('socketPath' in engine ? engine : { host: engine.host, port: engine.port }),
    // Node asks for the name in this header (SNI), if it is no address, whatever host it connects to.
    headers: { host: name },
    checkServerIdentity: (_: string, certificate: PeerCertificate) => checkServerIdentity(name, certificate),
    path: target,
    // Its own connection: it ends with the signal, and an old one is never taken for a new one.
    agent: false,
    signal,
  };
  return new Promise((resolve, reject) => {
    const outgoing = (tls === undefined ? request : requestTls)(options, (answer) => {
      if (answer.statusCode === 200) return resolve(answer);
      answer.destroy();
      reject(new Error(`${path}: status ${answer.statusCode}`));
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

/** @throws when it is not what an engine says; then nothing it said can be trusted */
function readContainer(value: unknown): Container {
  if (!isObject(value) || typeof value.Id !== 'string') throw new Error('containers: an entry has no Id');
  const { Id: id, Names, Image, Labels, Ports, NetworkSettings } = value;
  const [name = ''] = Array.isArray(Names) ? Names.map(String) : [];
  const ports = (Array.isArray(Ports) ? Ports : []).filter(isObject).flatMap((port) => {
    const { PrivatePort: inside, PublicPort: outside, Type, IP } = port;
    if (typeof inside !== 'number' || typeof outside !== 'number' || (Type ?? 'tcp') !== 'tcp') return [];
    const everywhere = IP === '0.0.0.0' || IP === '::' || typeof IP !== 'string';
    return [{ inside, outside, address: everywhere ? '' : IP }];
  });
  const networks = isObject(NetworkSettings) && isObject(NetworkSettings.Networks) ? NetworkSettings.Networks : {};
  const addresses = Object.entries(networks).flatMap(([network, settings]): [string, string][] => {
    const { IPAddress, GlobalIPv6Address } = isObject(settings) ? settings : {};
    const address = IPAddress || GlobalIPv6Address;
    return typeof address === 'string' && address !== '' ? [[network, address]] : [];
  });
  return {
    id: id.slice(0, 12),
    name: name.replace(/^\//, ''),
    image: typeof Image === 'string' ? Image : '',
    labels: isObject(Labels) ? Labels : {},
    ports,
    networks: new Map(addresses),
  };
}
