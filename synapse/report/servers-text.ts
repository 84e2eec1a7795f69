import { type ServerCounts, totalOf, usableOf } from '../haproxy/statistics/health-shape.ts';

/** The servers of a service by HAProxy's word: `1 of 3 servers takes traffic; 2 down`. */
export function serversText(servers: ServerCounts): string {
  const { down, out, unchecked } = servers;
  const [usable, total] = [usableOf(servers), totalOf(servers)];
  if (total === 0) return 'HAProxy has no server of it';
  return [
    `${usable} of ${total} servers take traffic`,
    ...(down > 0 ? [`${down} down`] : []),
    ...(out > 0 ? [`${out} in maintenance, drain or weight 0`] : []),
    ...(unchecked > 0 ? [`${unchecked} not checked`] : []),
  ].join('; ');
}
