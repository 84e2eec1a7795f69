import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns';
import { isIP } from 'node:net';
import { clock, type Timer } from '../async/clock.ts';
import { type Log, reasonOf } from '../daemon/log.ts';

/** A StatsD server, over UDP. Nothing here ever waits for it, or fails because of it. */
export interface StatsdSink {
  /** Sends lines now; those that come before the server's name is resolved, and what cannot be sent, are dropped. */
  send(lines: readonly string[]): void;
  /** Sends the last lines, and closes. Resolves within a second. */
  end(lines: readonly string[]): Promise<void>;
}

interface Address {
  readonly address: string;
  readonly family: number;
}

/** What fits into one frame of Ethernet beside the headers of IPv6 and UDP; bytes. */
const packetSize = 1_432;
/** How long an address is good, and how long a name that could not be resolved is left alone; milliseconds. */
const goodFor = 60_000;

/** Looks a name up beside everything else, one lookup at a time: a resolver that hangs holds one thread, and no more. */
export function createStatsdSink(
  { host, port }: { readonly host: string; readonly port: number },
  { log }: { readonly log: Log },
): StatsdSink {
  const literal = isIP(host);
  let to: Address | undefined = literal === 0 ? undefined : { address: host, family: literal };
  let resolving = false;
  let resolveAt = literal === 0 ? 0 : Number.POSITIVE_INFINITY;
  let trouble: string | null = null;
  const sockets = new Map<number, Socket>();

  /** Once for each outage. */
  const complain = (reason: string | null): void => {
    if (reason !== null && trouble === null)
      log.warn('statsd cannot be reached, what it should get is dropped', { reason });
    if (reason === null && trouble !== null) log.info('statsd is sent to again');
    trouble = reason;
  };

  const resolve = (): void => {
    if (resolving || clock.now() < resolveAt) return;
    resolving = true;
    lookup(host, { all: true }, (error, addresses) => {
      resolving = false;
      resolveAt = clock.now() + goodFor;
      // IPv4 first, as SmartStack: servers tend to listen on 127.0.0.1 alone. The old address stays when there is no new one.
      to = addresses?.toSorted((a, b) => a.family - b.family)[0] ?? to;
      if (to === undefined) complain(`${host} cannot be resolved: ${reasonOf(error)}`);
    });
  };

  const socketOf = (family: number): Socket => {
    let socket = sockets.get(family);
    if (socket === undefined) {
      socket = createSocket(family === 6 ? 'udp6' : 'udp4');
      socket.on('error', (error) => complain(reasonOf(error)));
      socket.unref();
      sockets.set(family, socket);
    }
    return socket;
  };

  const send = (lines: readonly string[]): Promise<void>[] => {
    resolve();
    const { address, family } = to ?? {};
    if (address === undefined || family === undefined) return [];
    return packets(lines, packetSize).map(
      (packet) =>
        new Promise((done) => {
          // The callback comes when the kernel has it; that nobody listens is nothing that UDP tells here.
          socketOf(family).send(packet, port, address, (error) => {
            complain(error === null ? null : reasonOf(error));
            done();
          });
        }),
    );
  };

  // The name is known by the time that there is something to send.
  resolve();
  return {
    send: (lines) => void send(lines),
    async end(lines) {
      let timer: Timer | undefined;
      const limit = new Promise<void>((done) => {
        timer = clock.setTimeout(done, 1_000);
      });
      await Promise.race([Promise.all(send(lines)), limit]);
      clock.clearTimeout(timer);
      for (const socket of sockets.values()) socket.close();
      sockets.clear();
    },
  };
}

/** Tags in DogStatsD's form, which SmartStack uses: `name:1|c|#service_name:api`. */
export type Tags = Readonly<Record<string, string>>;

/** One line for so many steps of a counter; undefined when sampling leaves nothing of them. */
export function counterLine(
  name: string,
  tags: Tags,
  {
    steps,
    rate = 1,
    random = clock.random,
  }: { readonly steps: number; readonly rate?: number; readonly random?: () => number },
): string | undefined {
  const kept = rate >= 1 ? steps : sample(steps, rate, random);
  if (kept === 0) return undefined;
  const sampled = rate >= 1 ? '' : `|@${rate}`;
  const list = Object.entries(tags).map(([key, value]) => `${key}:${clean(value)}`);
  return `${name}:${kept}|c${sampled}${list.length === 0 ? '' : `|#${list.join(',')}`}`;
}

/** Lines in as few packets as possible: joined by line feeds, none above `limit` bytes unless one line alone is. */
export function packets(lines: Iterable<string>, limit: number): readonly string[] {
  const found: string[] = [];
  let packet = '';
  for (const line of lines) {
    const longer = packet === '' ? line : `${packet}\n${line}`;
    if (packet !== '' && Buffer.byteLength(longer) > limit) {
      found.push(packet);
      packet = line;
    } else packet = longer;
  }
  if (packet !== '') found.push(packet);
  return found;
}

/** How many of so many steps are kept, when each is with this probability. */
function sample(steps: number, rate: number, random: () => number): number {
  // Thousands at once: the mean says it well enough, and costs nothing.
  if (steps > 1_000) return Math.round(steps * rate);
  let kept = 0;
  for (let step = 0; step < steps; step++) if (random() < rate) kept += 1;
  return kept;
}

/** What separates tags and lines must not come from a value. */
function clean(value: string): string {
  return value.replace(/[|,\n#]/g, '_');
}
