import { ageOf } from '../common/command/age.ts';
import { plain, type Style, type Tone } from '../common/command/style.ts';
import { type Cell, formatTable, heading } from '../common/command/table.ts';
import type { NerveState } from './state.ts';
import type { NerveStatus, RegistryState } from './status.ts';

const tones: Readonly<Record<string, Tone>> = { up: 'good', down: 'bad' };

/** What `nerve status` prints. */
export function formatStatus(status: NerveStatus, style: Style = plain, now: number = Date.now()): string {
  const { daemon, registry = [], version, reason } = status;
  if (!daemon.running) return formatDirect(daemon.reason, registry, style);
  const head = `nerve ${version}: ${reason === null ? style('good', 'ready') : style('warn', reason)}\n`;
  return `${head}${leaseLines(status, style)}\n${serviceTable(status, style, now)}`;
}

function serviceTable({ services }: NerveState, style: Style, now: number): string {
  const rows = services.map(
    ({ name, instance, health, since, announced, drained, reason, checks }): readonly Cell[] => {
      const shown = announced ? (drained ? 'draining' : 'yes') : 'no';
      const failing = checks.filter(({ up }) => up === false).map((check) => `${check.name}: ${check.last?.reason}`);
      return [
        name,
        instance,
        { text: health, tone: tones[health] ?? 'warn' },
        ageOf(since, now),
        { text: shown, tone: shown === 'yes' ? 'good' : 'warn' },
        failing.length > 0 ? failing.join('; ') : (reason ?? ''),
      ];
    },
  );
  return formatTable([heading(['SERVICE', 'INSTANCE', 'HEALTH', 'SINCE', 'ANNOUNCED', 'REASON']), ...rows], style);
}

function leaseLines({ leases }: NerveState, style: Style): string {
  return leases
    .map(({ hosts, id, held, lastError }) => {
      const why = lastError === null ? '' : `: ${lastError}`;
      return `lease in ${hosts.join(',')}: ${held ? `held (${id})` : style('bad', `not held${why}`)}\n`;
    })
    .join('');
}

function formatDirect(reason: string | null, registry: readonly RegistryState[], style: Style): string {
  const rows = registry.map(
    ({ name, instance, announced, reason: why, revision, lease, ttl, left }): readonly Cell[] => [
      name,
      instance,
      announced === null
        ? { text: `cannot be read: ${why}`, tone: 'bad' }
        : announced
          ? { text: why === null ? 'yes' : `yes, and cannot be used: ${why}`, tone: 'warn' }
          : 'no',
      revision ?? '',
      lease === null ? '' : left === null ? lease : `${left} of ${ttl} s left`,
    ],
  );
  return [
    `${style('bad', String(reason))}\n`,
    'Nothing checks these services now. What etcd has of them was read directly, and nothing was changed:\n\n',
    formatTable([heading(['SERVICE', 'INSTANCE', 'IN ETCD', 'REVISION', 'LEASE']), ...rows], style),
  ].join('');
}
