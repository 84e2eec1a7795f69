import { formatTable } from '../common/describe.ts';
import type { NerveState } from './state.ts';

/** What `nerve status` prints. */
export function formatStatus(state: NerveState, now: number = Date.now()): string {
  const rows = state.services.map(({ name, instance, health, since, announced, drained, reason, checks }) => {
    const shown = announced ? (drained ? 'draining' : 'yes') : 'no';
    const failing = checks.filter(({ up }) => up === false).map((check) => `${check.name}: ${check.last?.reason}`);
    return [name, instance, health, age(since, now), shown, failing.length > 0 ? failing.join('; ') : (reason ?? '')];
  });
  const leases = state.leases.map(({ hosts, id, held, lastError }) => {
    const lease = held ? `held (${id})` : `not held${lastError === null ? '' : `: ${lastError}`}`;
    return `lease in ${hosts.join(',')}: ${lease}\n`;
  });
  const head = `nerve ${state.version}: ${state.reason ?? 'ready'}\n${leases.join('')}`;
  return `${head}\n${formatTable([['SERVICE', 'INSTANCE', 'HEALTH', 'SINCE', 'ANNOUNCED', 'REASON'], ...rows])}`;
}

function age(since: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(since)) / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}
