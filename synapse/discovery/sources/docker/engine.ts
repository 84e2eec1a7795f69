import { linkAbort } from '../../../../common/async/abort.ts';
import { WakeableSleep } from '../../../../common/async/sleep.ts';
import { withTimeout } from '../../../../common/async/timeout.ts';
import { isObject } from '../../../../common/config/formats.ts';
import { type DockerAddress, DockerClient } from '../../../../common/net/docker.ts';

/** The fields of a running container that are used here (Docker Engine API 1.24 and later, `GET /containers/json`). */
export interface Container {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly labels: Readonly<Record<string, unknown>>;
  readonly ports: readonly PublishedPort[];
  /** The container's addresses by network. */
  readonly networks: ReadonlyMap<string, string>;
}

/** A port of the container that the engine's host publishes. */
export interface PublishedPort {
  readonly inside: number;
  readonly outside: number;
  /** The address of the host on which it is published; empty: all addresses. */
  readonly address: string;
}

/** Which containers are followed, and how often they are listed. */
export interface FollowOptions {
  /** Labels, `key` or `key=value`, that containers must have. */
  readonly labels: readonly string[];
  /** The longest time between lists, milliseconds. */
  readonly intervalMs: number;
  /** Milliseconds for each answer. */
  readonly timeoutMs: number;
}

/** The events that can change the list. Without this filter, every health check inside a container would be an event. */
const watchedEvents = ['start', 'die', 'pause', 'unpause', 'rename', 'destroy', 'connect', 'disconnect'];
/**
 * How long after an event to list once more: the engine sends `pause` and `unpause` before its own list shows them (moby,
 * daemon/pause.go).
 */
const settlingMs = 500;
/** Enough for some thousand containers with many labels each. */
const maxBytes = 64 << 20;

/**
 * Lists the running containers at once, after every event, once more a moment later, and after every interval, until `signal`
 * aborts.
 * @throws when the engine cannot be reached, does not answer in time, or ends its stream of events
 */
export async function followContainers(
  address: DockerAddress,
  options: FollowOptions,
  onList: (containers: readonly Container[]) => void,
  signal: AbortSignal,
): Promise<void> {
  const { labels, intervalMs, timeoutMs } = options;
  const engine = new DockerClient(address);
  const streaming = linkAbort(signal);
  const pause = new WakeableSleep();
  let broken: Error | undefined;
  try {
    // The stream is opened first, so that a change during the list is an event.
    const events = { path: '/events', filters: { type: ['container', 'network'], event: watchedEvents } };
    const open = () => engine.stream(events, streaming.signal);
    const stream = await withTimeout(open, { timeoutMs, what: 'events' }, signal);
    let changed = false;
    stream.on('data', () => {
      changed = true;
      pause.wake();
    });
    stream.on('error', (error) => {
      broken = error;
      pause.wake();
    });
    stream.on('close', () => {
      broken ??= new Error('the stream of events ended');
      pause.wake();
    });

    const running = { status: ['running'], ...(labels.length > 0 && { label: labels }) };
    const list = (limit: AbortSignal) => listContainers(engine, running, limit);
    while (!signal.aborted) {
      if (broken !== undefined) throw broken;
      const delay = changed ? Math.min(settlingMs, intervalMs) : intervalMs;
      changed = false;
      onList(await withTimeout(list, { timeoutMs, what: 'containers' }, signal));
      await pause.sleep(delay, signal);
    }
  } catch (error) {
    if (signal.aborted) return;
    throw new Error(`Docker at ${engine.where}`, { cause: error });
  } finally {
    streaming.release();
    streaming.abort();
  }
}

async function listContainers(
  engine: DockerClient,
  filters: Readonly<Record<string, readonly string[]>>,
  signal: AbortSignal,
): Promise<readonly Container[]> {
  const list = await engine.json({ path: '/containers/json', filters }, { maxBytes }, signal);
  if (!Array.isArray(list)) throw new Error('containers: the answer is not a list');
  return list.map(readContainer);
}

/** @throws when the entry is not one of an engine; then the whole answer is not used */
function readContainer(value: unknown): Container {
  if (!isObject(value) || typeof value.Id !== 'string') throw new Error('containers: an entry has no Id');
  const { Id: id, Names, Image, Labels, Ports, NetworkSettings } = value;
  const first: unknown = Array.isArray(Names) ? Names[0] : undefined;
  const name = typeof first === 'string' ? first : '';
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
