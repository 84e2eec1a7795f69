import type { Instance } from '../../common/instance.ts';
import type { ServerStatistics } from '../haproxy/statistics/server-shape.ts';

/** How HAProxy's servers differ from the instances, by id; without those that agree. */
export function differences(
  instances: readonly Instance[],
  servers: readonly (Pick<ServerStatistics, 'name' | 'status'> & { readonly weight?: number | null })[],
): Readonly<Record<string, string>> {
  const byName = new Map(servers.map((server) => [server.name, server]));
  const found: [string, string][] = [];
  for (const instance of instances) {
    const { id } = instance;
    const server = byName.get(id);
    byName.delete(id);
    const difference = server === undefined ? 'not in HAProxy' : differenceOf(instance, server);
    if (difference !== null) found.push([id, difference]);
  }
  // The rest are not instances of the service. A server in maintenance takes no traffic, as it should be.
  for (const [name, { status }] of byName) {
    if (!/^(MAINT|DRAIN)/.test(status)) found.push([name, 'in HAProxy, and not among the instances']);
  }
  return Object.fromEntries(found);
}

function differenceOf(
  { state, weight }: Instance,
  server: { readonly status: string; readonly weight?: number | null },
): string | null {
  const { status } = server;
  if (/^MAINT/.test(status)) return 'in maintenance in HAProxy';
  if (/^DOWN|^NOLB/.test(status)) return "HAProxy's own check fails";
  // HAProxy shows a server of weight 0 that passes its checks as DRAIN.
  if (server.weight === 0 && state === 'up') return weight === 0 ? null : 'weight 0 in HAProxy';
  if (/^DRAIN/.test(status) && state === 'up') return 'drained in HAProxy';
  if (/^UP|^no check/.test(status) && state === 'drain') return 'takes traffic in HAProxy';
  return null;
}
