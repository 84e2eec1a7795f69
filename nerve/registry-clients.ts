import type { Log } from '../common/daemon/log.ts';
import type { EtcdClient } from '../common/etcd/client/client.ts';
import type { EtcdOptions } from '../common/etcd/client/options.ts';
import { createLeasedKeys } from '../common/etcd/keys/leased-keys.ts';
import type { Announcer, OnLeftover } from './announce/announcer.ts';
import { EtcdAnnouncer } from './announce/etcd-announcer.ts';
import type { Registry } from './announce/registries.ts';

/** What connecting needs from the daemon. */
export interface RegistryClientsDeps {
  readonly log: Log;
  /** Creates an etcd client that works until `signal` aborts. */
  readonly openEtcd: (options: EtcdOptions, deps: { readonly log: Log }, signal: AbortSignal) => EtcdClient;
}

/** The connections to the registries: what announces services, and what asks their proxies, use the same ones. */
export class RegistryClients {
  readonly #deps: RegistryClientsDeps;
  readonly #signal: AbortSignal;
  readonly #clients = new WeakMap<Announcer, EtcdClient>();

  /** The connections end when `signal` aborts. */
  constructor(deps: RegistryClientsDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
  }

  /** Connects to an etcd cluster, under a lease of its own; does not wait for it. */
  connect({ etcd, ttlSeconds }: Registry, onLeftover: OnLeftover): Announcer {
    const { log, openEtcd } = this.#deps;
    const client = openEtcd(etcd, { log }, this.#signal);
    const announcer = new EtcdAnnouncer({
      createKeys: (options) => createLeasedKeys(client, { ttlSeconds, ...options }, { log }, this.#signal),
      onLeftover,
    });
    this.#clients.set(announcer, client);
    return announcer;
  }

  /** The client over which an announcer works. */
  clientOf(announcer: Announcer): EtcdClient | undefined {
    return this.#clients.get(announcer);
  }
}
