import { type FaultProxy, startFaultProxy } from '../support/servers/fault-proxy.ts';

/** The way of one host to etcd: a proxy in front of each member. */
export class EtcdRoute {
  readonly proxies: readonly FaultProxy[];

  private constructor(proxies: readonly FaultProxy[]) {
    this.proxies = proxies;
  }

  /** Starts a proxy for each of the members' addresses. */
  static async start(urls: readonly string[]): Promise<EtcdRoute> {
    return new EtcdRoute(await Promise.all(urls.map((url) => startFaultProxy(Number(new URL(url).port)))));
  }

  /** What the daemon's configuration has as `etcd.hosts`. */
  get hosts(): readonly string[] {
    return this.proxies.map(({ port }) => `http://127.0.0.1:${port}`);
  }

  async heal(): Promise<void> {
    for (const proxy of this.proxies) await proxy.heal();
  }

  async close(): Promise<void> {
    for (const proxy of this.proxies) await proxy.close();
  }
}
