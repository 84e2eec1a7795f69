import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net';

/** A TCP connection through the proxy. */
export interface ProxyConnection {
  /** Closes both ends at once. */
  cut(): void;
}

/** A TCP proxy on loopback that does to connections what networks do. */
export class FaultProxy {
  /** Called with what the server sends, before it is passed on. */
  onServerData: ((chunk: Buffer, connection: ProxyConnection) => void) | undefined;
  readonly #target: number;
  readonly #pairs = new Set<Pair>();
  #listener: Server | undefined;
  #port = 0;
  #isBlackhole = false;
  #delayMs = 0;

  /** `target` is a port of loopback. */
  constructor(target: number) {
    this.#target = target;
  }

  get port(): number {
    return this.#port;
  }

  /** The connections that are open now. */
  get connections(): ReadonlySet<ProxyConnection> {
    return this.#pairs;
  }

  /** Listens, at first on a free port and later on the same port again. */
  async listen(): Promise<void> {
    if (this.#listener !== undefined) return;
    const listener = createServer((client) => this.#accept(client));
    listener.listen(this.#port, '127.0.0.1');
    await once(listener, 'listening');
    this.#listener = listener;
    this.#port = (listener.address() as AddressInfo).port;
  }

  /** Closes all connections at once; new ones work. */
  cut(): void {
    for (const pair of [...this.#pairs]) pair.cut();
  }

  /** Closes all connections and refuses new ones, until {@link heal}. */
  async refuse(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    if (listener === undefined) return;
    const closed = new Promise((resolve) => listener.close(resolve));
    this.cut();
    await closed;
  }

  /** Keeps all connections open, accepts new ones, and passes nothing, until {@link heal}. */
  blackhole(): void {
    this.#isBlackhole = true;
    for (const pair of this.#pairs) pair.pause();
  }

  /** Passes everything on this much later. */
  delay(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  /** Ends refuse, blackhole and delay. What a blackhole kept arrives late, as after a lost route. */
  async heal(): Promise<void> {
    this.#delayMs = 0;
    this.#isBlackhole = false;
    for (const pair of this.#pairs) pair.resume();
    await this.listen();
  }

  /** Closes all connections and stops listening. */
  close(): Promise<void> {
    return this.refuse();
  }

  #accept(client: Socket): void {
    const server = createConnection({ host: '127.0.0.1', port: this.#target });
    const pair: Pair = new Pair(client, server, {
      delayMs: () => this.#delayMs,
      onServerData: (chunk) => this.onServerData?.(chunk, pair),
      onClose: () => this.#pairs.delete(pair),
    });
    this.#pairs.add(pair);
    if (this.#isBlackhole) pair.pause();
  }
}

interface PairOptions {
  readonly delayMs: () => number;
  readonly onServerData: (chunk: Buffer) => void;
  readonly onClose: () => void;
}

/** The two sockets of a connection, each passed on to the other. */
class Pair implements ProxyConnection {
  readonly #sockets: readonly [client: Socket, server: Socket];
  readonly #onClose: () => void;

  constructor(client: Socket, server: Socket, { delayMs, onServerData, onClose }: PairOptions) {
    this.#sockets = [client, server];
    this.#onClose = onClose;
    server.on('data', onServerData);
    this.#pass(client, server, delayMs);
    this.#pass(server, client, delayMs);
  }

  cut(): void {
    this.#onClose();
    // Not resetAndDestroy: with it, Node 20 sometimes never ends, because it waits for the reset handle.
    for (const socket of this.#sockets) socket.destroy();
  }

  pause(): void {
    for (const socket of this.#sockets) socket.pause();
  }

  resume(): void {
    for (const socket of this.#sockets) socket.resume();
  }

  #pass(from: Socket, to: Socket, delayMs: () => number): void {
    const line = new DelayLine(delayMs);
    from.setNoDelay();
    from.on('data', (chunk: Buffer) => line.add(() => to.write(chunk)));
    from.on('end', () => line.add(() => to.end()));
    from.on('error', () => this.cut());
    from.on('close', () => {
      this.#onClose();
      to.destroy();
    });
  }
}

/** Runs actions later, in the order in which they were added, even when the delay changes: TCP keeps the order. */
class DelayLine {
  readonly #delayMs: () => number;
  readonly #waiting: { readonly due: number; readonly run: () => void }[] = [];

  constructor(delayMs: () => number) {
    this.#delayMs = delayMs;
  }

  add(run: () => void): void {
    this.#waiting.push({ due: performance.now() + this.#delayMs(), run });
    if (this.#waiting.length === 1) this.#drain();
  }

  #drain(): void {
    for (let head = this.#waiting[0]; head !== undefined; head = this.#waiting[0]) {
      const waitMs = head.due - performance.now();
      if (waitMs > 0) {
        setTimeout(() => this.#drain(), waitMs);
        return;
      }
      this.#waiting.shift();
      head.run();
    }
  }
}

/** Starts a proxy on a free port of loopback to `target`, a port of loopback. */
export async function startFaultProxy(target: number): Promise<FaultProxy> {
  const proxy = new FaultProxy(target);
  await proxy.listen();
  return proxy;
}
