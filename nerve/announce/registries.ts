import { isDeepStrictEqual } from 'node:util';
import { type EtcdOptions, parseHosts } from '../../common/etcd/client/options.ts';
import type { ServiceConfig } from '../config/service-config.ts';
import type { Announcer, CloseOptions } from './announcer.ts';

/** An etcd cluster to announce in, and the TTL of the lease there. */
export interface Registry {
  readonly etcd: EtcdOptions;
  readonly ttlSeconds: number;
}

/** A registry in use. Its announcer holds one lease. */
export interface OpenRegistry extends Registry {
  readonly announcer: Announcer;
}

/** The registries in use, with one announcer each. */
export class Registries {
  readonly #open: OpenRegistry[] = [];
  readonly #connect: (registry: Registry) => Announcer;

  /** `connect` is called once for each registry that differs in any option. */
  constructor(connect: (registry: Registry) => Announcer) {
    this.#connect = connect;
  }

  get all(): readonly OpenRegistry[] {
    return this.#open;
  }

  /** The open registry with these options; opens it if need be. */
  open(registry: Registry): OpenRegistry {
    const { etcd, ttlSeconds } = registry;
    const found = this.#open.find((open) => open.ttlSeconds === ttlSeconds && isDeepStrictEqual(open.etcd, etcd));
    if (found !== undefined) return found;
    const opened = { etcd, ttlSeconds, announcer: this.#connect(registry) };
    this.#open.push(opened);
    return opened;
  }

  /** Closes all registries that are not in `inUse`. */
  async closeUnused(inUse: ReadonlySet<OpenRegistry>, options: CloseOptions): Promise<void> {
    const unused = this.#open.filter((open) => !inUse.has(open));
    for (const open of unused) this.#open.splice(this.#open.indexOf(open), 1);
    await Promise.all(unused.map(({ announcer }) => announcer.close(options)));
  }
}

/** The addresses of a registry's members, as `status` shows them. */
export function registryHosts({ etcd }: Registry): readonly string[] {
  return parseHosts(etcd.hosts).map(({ url }) => url);
}

/** The etcd options of a service. Its own `etcd_host` uses the credentials and TLS of the `etcd` section. */
export function etcdOptionsOf(etcd: EtcdOptions, { etcdHosts }: ServiceConfig): EtcdOptions {
  if (etcdHosts === null) return etcd;
  const scheme = etcd.tls ? 'https' : 'http';
  return { ...etcd, hosts: etcdHosts.map((host) => `${scheme}://${host}`) };
}
