import { isIP } from 'node:net';
import { type AdminConfig, splitListen } from '../../common/admin/options.ts';
import { joinPath, type Problem } from '../../common/config/config.ts';
import type { Instance } from '../../common/instance.ts';
import { canonicalAddress } from '../../common/net/ip-words.ts';
import { loopAt } from '../addresses/addressing.ts';
import type { HaproxyConfig } from '../haproxy/options/config.ts';
import { addressListeners, serviceListeners, topListeners } from '../haproxy/spec/listeners.ts';
import type { Listener, ServiceOutputConfig } from '../output.ts';

/** The parts of the configuration that say what this host listens on. */
export interface ListeningConfig {
  readonly haproxy: HaproxyConfig;
  readonly admin: Pick<AdminConfig, 'listen'>;
}

/** nerve's default address: synapse does not know its configuration. */
const nerveListen = '127.0.0.1:3210';

/** Everything that synapse and its HAProxy listen on. */
export function listenersOf(
  { haproxy, admin }: ListeningConfig,
  services: Iterable<readonly [service: string, config: ServiceOutputConfig]>,
): readonly Listener[] {
  return [
    ...(admin.listen === false ? [] : adminListeners(admin.listen)),
    ...addressListeners(nerveListen, 'the admin address of nerve'),
    ...topListeners(haproxy),
    ...[...services].flatMap(([service, config]) => serviceListeners(service, config, haproxy)),
  ];
}

function adminListeners(listen: string): readonly Listener[] {
  const { host, port } = splitListen(listen);
  return addressListeners(`${host.includes(':') ? `[${host}]` : host}:${port}`, 'the admin address of synapse');
}

/** A default server that is HAProxy or synapse itself would send requests round and round: a problem for each of them. */
export function loopProblems(
  config: ListeningConfig,
  services: ReadonlyMap<string, { readonly config: ServiceOutputConfig; readonly policy: WithDefaults }>,
  ownAddresses: readonly string[],
): readonly Problem[] {
  const listeners = listenersOf(
    config,
    [...services].map(([name, service]) => [name, service.config] as const),
  );
  const own = new Set(ownAddresses.map(canonicalAddress));
  return [...services].flatMap(([name, { policy }]) =>
    policy.defaultServers.flatMap(({ host, port }): readonly Problem[] => {
      const addresses = host === 'localhost' ? ['127.0.0.1', '::1'] : isIP(host) === 0 ? [] : [host];
      const loop = addresses
        .map((address) => loopAt({ host: address, port }, listeners, (one) => own.has(canonicalAddress(one))))
        .find((found) => found !== undefined);
      if (loop === undefined) return [];
      const message = `${host} and port ${port} are those of ${loop.what} on this host: that would be a loop`;
      return [{ path: joinPath(joinPath('services', name), 'default_servers'), message }];
    }),
  );
}

interface WithDefaults {
  readonly defaultServers: readonly Instance[];
}
