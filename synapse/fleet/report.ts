import type { Answer } from '../../common/fleet/ask.ts';
import { whyWaiting } from '../../common/fleet/progress.ts';
import type { ProxyRecord } from '../../common/fleet/records.ts';
import type { FleetDifference, FleetProxy, FleetReport } from '../report/fleet-shape.ts';

/** What the answers to a question about a revision say of each proxy. */
export function reportOf(path: string, { state, progress }: Answer): FleetReport {
  const { request, members } = state;
  const asked = [...members].filter(([, { counted }]) => counted);
  const proxies = asked.map(([id, member]): FleetProxy => {
    const { proxy, ack, present, fulfilled } = member;
    return {
      ...presenceOf(id, proxy),
      milliseconds: fulfilled ? (ack?.ms ?? null) : null,
      revision: ack?.revision ?? null,
      reason: fulfilled ? null : present ? whyWaiting(member, request) : 'it left during the question',
    };
  });
  const rank = ({ milliseconds }: FleetProxy): number => milliseconds ?? Number.POSITIVE_INFINITY;
  proxies.sort((a, b) => (rank(a) === rank(b) ? (a.proxy < b.proxy ? -1 : 1) : rank(b) - rank(a)));
  const nobody = progress.outcome === 'nobody' ? 'no synapse takes part' : null;
  return { path, revision: request?.revision ?? null, reason: nobody ?? progress.reason, proxies };
}

/** What the record of a proxy says; null for one that cannot be read. Nothing is known of what it has applied. */
export function presenceOf(id: string, proxy: ProxyRecord | null): FleetProxy {
  return {
    proxy: id,
    host: proxy?.host ?? null,
    version: proxy?.version ?? null,
    startedAt: proxy?.startedAt ?? null,
    haproxyProcesses: proxy?.haproxyProcesses ?? null,
    paths: proxy?.paths ?? [],
    milliseconds: null,
    revision: null,
    reason: null,
  };
}

/** What the answers about one instance say, when not all proxies have it. */
export function differenceOf(instance: string, { progress }: Answer): FleetDifference | undefined {
  const { acknowledged, unused, waiting, left } = progress;
  const others = [
    ...waiting.map(({ proxy, reason }) => ({ proxy, reason })),
    ...left.map((proxy) => ({ proxy, reason: 'it left during the question' })),
  ];
  return others.length === 0 ? undefined : { instance, has: acknowledged - unused, unused, others };
}
