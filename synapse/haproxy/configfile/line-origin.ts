import { joinPath } from '../../../common/config/config.ts';
import type { HaproxyConfig } from '../options/config.ts';
import type { DesiredService } from '../spec/desired-service.ts';
import { nameInUse } from '../spec/desired-service.ts';
import { commonLineKey, type LineService, type PlacedLine, serviceLineKey } from '../spec/line-key.ts';
import type { Server } from '../spec/types.ts';
import type { LineOwner } from './config-text.ts';

/** What the origin of lines is looked up in. */
export interface OriginFacts {
  readonly config: HaproxyConfig;
  readonly services: ReadonlyMap<string, DesiredService>;
  /** HAProxy's message about the line, which tells the two origins of a server's options apart. */
  readonly said?: string;
}

/**
 * Where a line of haproxy.cfg comes from, as users know it: a key such as `services.api.haproxy.listen[1]`, or the instance
 * whose record asked for it. Undefined for lines that synapse adds by itself.
 */
export function originOf(
  line: PlacedLine,
  owner: LineOwner | undefined,
  { config, services, said = '' }: OriginFacts,
): string | undefined {
  const desired = owner && services.get(owner.service);
  if (owner === undefined || desired === undefined) {
    return commonLineKey(line, config, lineServices(services.values()));
  }
  const name = nameInUse(desired);
  if (owner.server !== undefined) {
    return serverOrigin(owner.server, { service: name, said }, desired.local?.server_options);
  }
  if ((desired.wanted ?? desired.active)?.poolPort !== undefined) return 'haproxy.reload_free_services';
  if (desired.local === undefined) return undefined;
  // Not found: a published line, or one that synapse adds.
  return serviceLineKey(line, { name, local: desired.local, said }, config);
}

/**
 * `server_options` and the record say what a server's line has. The one that has a word which HAProxy quotes is named; both when
 * that is not known.
 */
function serverOrigin(
  { instance }: Server,
  { service, said }: { service: string; said: string },
  own: unknown,
): string {
  const options = joinPath(joinPath(joinPath('services', service), 'haproxy'), 'server_options');
  const record = `the record of instance ${instance.id} (haproxy_server_options)`;
  const asked = wordsIn(instance.serverOptions);
  const local = wordsIn(own);
  if (asked.size === 0) return options;
  if (local.size === 0) return record;
  const quoted = [...said.matchAll(/'([^'\s]+)'/g)].map(([, word = '']) => word);
  if (quoted.some((word) => asked.has(word) && !local.has(word))) return record;
  if (quoted.some((word) => local.has(word) && !asked.has(word))) return options;
  return `${options} or ${record}`;
}

function wordsIn(options: unknown): ReadonlySet<string> {
  return new Set(typeof options === 'string' ? options.split(/\s+/).filter((word) => word !== '') : []);
}

function* lineServices(services: Iterable<DesiredService>): Iterable<LineService> {
  for (const desired of services) {
    if (desired.local !== undefined) yield { name: nameInUse(desired), local: desired.local };
  }
}
