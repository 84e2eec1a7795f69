import { isIP } from 'node:net';
import { readIfThere } from '../../../common/file.ts';
import type { Files } from '../../../common/host.ts';
import type { Instance } from '../../../common/instance.ts';
import type { ServiceHaproxyConfig } from '../options/service-config.ts';
import { type ParsedConfig, parseConfig } from '../spec/parse-config.ts';

/** The addresses of the servers in a haproxy.cfg that an earlier synapse wrote, for instances with host names. */
export class ServersInFile {
  /** Backend → name and port → the address; null for several. */
  readonly #addresses = new Map<string, ReadonlyMap<string, string | null>>();

  constructor({ backends }: Pick<ParsedConfig, 'backends'>) {
    for (const [backend, servers] of backends) {
      const found = new Map<string, string | null>();
      for (const name of servers.keys()) {
        // As `addresses/place.ts` names them: the name, the address and the port.
        const [, own, address = '', port] = /^(.+)_([^_]+):([0-9]+)$/.exec(name) ?? [];
        if (isIP(address) === 0) continue;
        const key = `${own} ${port}`;
        found.set(key, (found.get(key) ?? address) === address ? address : null);
      }
      this.#addresses.set(backend, found);
    }
  }

  /** The address of an instance of a service; undefined when the file has none, or several. */
  addressOf(service: string, config: ServiceHaproxyConfig, { name, host, port }: Instance): string | undefined {
    const key = `${name || host.replace(/\.$/, '')} ${port}`;
    const backend = config.backend_name ?? service;
    // A service on a port of `reload_free_services` has a backend named after the port.
    const own = this.#addresses.get(backend) ?? this.#addresses.get(`port-${config.port}`);
    return own?.get(key) ?? undefined;
  }
}

/** Reads the file; empty when there is none, or when it cannot be read. */
export async function readServersInFile(path: string | null, files: Files): Promise<ServersInFile> {
  const text = path === null ? undefined : await readIfThere(path, files).catch(() => undefined);
  return new ServersInFile(parseConfig(text ?? ''));
}
