import { isDeepStrictEqual } from 'node:util';
import { type EtcdOptions, parseHosts } from '../../common/etcd/client/options.ts';
import type { ServiceConfig } from '../config/service-config.ts';
import type { Announcer, CloseOptions } from './etcd-announcer.ts';

/** A cluster to announce in, and for how long a crashed host stays visible there (lease seconds). */
export interface Registry {
  readonly etcd: EtcdOptions;
  readonly ttl: number;
}

/** A registry in use: its announcer, and so its lease. */
export interface OpenRegistry extends Registry {
  readonly announcer: Announcer;
}

/** One announcer per registry, whoever asks. */
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

  use(registry: Registry): OpenRegistry {
    const { etcd, ttl } = registry;
    const found = this.#open.find((open) => open.ttl === ttl && isDeepStrictEqual(open.etcd, etcd));
    if (found !== undefined) return found;
    const open = { etcd, ttl, announcer: this.#connect(registry) };
    this.#open.push(open);
    return open;
  }

  /** Closes those that `inUse` does not name. */
  async closeUnused(inUse: ReadonlySet<OpenRegistry>, options: CloseOptions): Promise<void> {
    const unused = this.#open.filter((open) => !inUse.has(open));
    for (const open of unused) this.#open.splice(this.#open.indexOf(open), 1);
    await Promise.all(unused.map(({ announcer }) => announcer.close(options)));
  }
}

/** The addresses of a registry's members, for people. */
export function registryHosts({ etcd }: Registry): readonly string[] {
  return parseHosts(etcd.hosts).map(({ url }) => url);
}

/** A service's own `etcd_host` keeps the credentials, and TLS, of the file's `etcd`. */
export function etcdOf(etcd: EtcdOptions, { etcdHosts }: ServiceConfig): EtcdOptions {
  if (etcdHosts === null) return etcd;
  const scheme = etcd.tls ? 'https' : 'http';
  return { ...etcd, hosts: etcdHosts.map((host) => `${scheme}://${host}`) };
}
