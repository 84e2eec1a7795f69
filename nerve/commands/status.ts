import { NotRunning, readState } from '../../common/admin/client.ts';
import { loadConfigOffline } from '../../common/admin/offline-config.ts';
import { clock } from '../../common/async/clock.ts';
import type { Command, CommandContext } from '../../common/cli/program.ts';
import { type Cell, formatTable, heading, plain, type Style, type Tone } from '../../common/cli/table.ts';
import { ageOf } from '../../common/wording.ts';
import { twoNerves } from '../announce/announcer.ts';
import { type NerveState, type NerveStatus, type RegistryState, statusShape } from '../status-shape.ts';
import { adminTarget, configSource, json } from './context.ts';

/** `nerve status` */
export const status: Command = {
  summary: 'Show the health of each service and whether it is announced.',
  options: json,
  notes: [
    'Asks the running nerve. When nerve does not run, nothing checks these services: the command then reads directly ' +
      'what etcd still has of them and when the leases expire, and its first line says so. It changes nothing.',
  ],
  exits: {
    3: 'nerve is not running: the output comes from etcd',
    4: 'nerve runs but is not ready; the first line says why',
  },
  json: statusShape,
  async run(context) {
    const { options, print, style } = context;
    const found = await findStatus(context);
    print(options.json ? `${JSON.stringify(found, null, 2)}\n` : formatStatus(found, style));
    if (!found.daemon.running) return 3;
    return found.ready ? 0 : 4;
  },
};

async function findStatus(context: CommandContext): Promise<NerveStatus> {
  try {
    const state = (await readState(await adminTarget(context), { program: 'nerve' })) as NerveState;
    if (!Array.isArray(state.services) || !Array.isArray(state.leases))
      throw new Error('the program that answers there is not nerve');
    return { ...state, daemon: { running: true, reason: null } };
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
    return readStatus(context, error);
  }
}

/** @throws {NotRunning} when there is no configuration that names the etcd cluster to read instead */
async function readStatus(context: CommandContext, notRunning: NotRunning): Promise<NerveStatus> {
  if (context.config === undefined && !context.env.NERVE_SERVICE) {
    throw new Error(`${notRunning.message}; with -c FILE, this command reads etcd directly`);
  }
  // Loaded here, because the running nerve answers without them.
  const [{ loadConfig }, { readRegistry }] = await Promise.all([
    import('../config/config.ts'),
    import('./offline-status.ts'),
  ]);
  const config = await loadConfigOffline(notRunning, async () =>
    loadConfig(configSource(context), { log: await context.openLog() }),
  );
  return {
    version: context.version,
    ready: false,
    reason: notRunning.message,
    daemon: { running: false, reason: notRunning.message },
    services: [],
    leases: [],
    registry: await readRegistry(config),
  };
}

const tones: Readonly<Record<string, Tone>> = { up: 'good', down: 'bad' };

/** What `nerve status` prints. */
export function formatStatus(status: NerveStatus, style: Style = plain, now: number = clock.wallTime()): string {
  const { daemon, registry = [], version, reason, configRefused } = status;
  if (!daemon.running) return formatOffline(daemon.reason, registry, style);
  const head = `nerve ${version}: ${reason === null ? style('good', 'ready') : style('warn', reason)}\n`;
  const refused =
    configRefused === undefined
      ? ''
      : `${style('bad', 'The configuration file is invalid: a restart of nerve would fail')}: ${configRefused}\n`;
  return `${refused}${head}${leaseLines(status, style)}\n${serviceTable(status, style, now)}`;
}

function serviceTable({ services }: NerveState, style: Style, now: number): string {
  const rows = services.map(
    ({ name, instance, key, health, since, announced, drained, reason, checks, ...service }): readonly Cell[] => {
      const given = service.weightGiven ? [`weight ${service.weight} by nerve weight`] : [];
      const shown = announced ? (drained ? 'draining' : 'yes') : 'no';
      const failing = checks.filter(({ up }) => up === false).map((check) => `${check.name}: ${check.last?.reason}`);
      return [
        name,
        instance,
        key.endsWith(`/${instance}`) ? key.slice(0, -instance.length - 1) : key,
        { text: health, tone: tones[health] ?? 'warn' },
        ageOf(since, now),
        { text: shown, tone: shown === 'yes' ? 'good' : 'warn' },
        [...(failing.length > 0 ? failing : reason === null ? [] : [reason]), ...given].join('; '),
      ];
    },
  );
  return formatTable(
    [heading(['SERVICE', 'INSTANCE', 'PATH', 'HEALTH', 'SINCE', 'ANNOUNCED', 'REASON']), ...rows],
    style,
  );
}

function leaseLines({ leases }: NerveState, style: Style): string {
  return leases
    .map(({ hosts, id, held, lastError, rivals = [] }) => {
      const why = lastError === null ? '' : `: ${lastError}`;
      const others = rivals.map(
        ({ lease, key }) =>
          `${style('bad', `another process announces ${key} too, under lease ${lease}`)}: ${twoNerves}\n`,
      );
      return `lease in ${hosts.join(',')}: ${held ? `held (${id})` : style('bad', `not held${why}`)}\n${others.join('')}`;
    })
    .join('');
}

function formatOffline(reason: string | null, registry: readonly RegistryState[], style: Style): string {
  const rows = registry.map(
    ({ name, instance, announced, reason: why, revision, lease, ttl, left }): readonly Cell[] => [
      name,
      instance,
      announced === null
        ? { text: `cannot be read: ${why}`, tone: 'bad' }
        : announced
          ? { text: why === null ? 'yes' : `yes, but invalid: ${why}`, tone: 'warn' }
          : 'no',
      revision ?? '',
      lease === null ? '' : left === null ? lease : `${left} of ${ttl} s left`,
    ],
  );
  return [
    `${style('bad', String(reason))}\n`,
    'Nothing checks these services now. This is what etcd has of them; nothing was changed:\n\n',
    formatTable([heading(['SERVICE', 'INSTANCE', 'IN ETCD', 'REVISION', 'LEASE']), ...rows], style),
  ].join('');
}
