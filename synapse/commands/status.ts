import { type AdminTarget, NotRunning } from '../../common/admin/client.ts';
import { loadConfigOffline } from '../../common/admin/offline-config.ts';
import type { Command, CommandContext } from '../../common/cli/program.ts';
import { countStatistics } from '../haproxy/statistics/server-counts.ts';
import type { ServerStatistics } from '../haproxy/statistics/server-shape.ts';
import { findProblems } from '../report/problems.ts';
import { noService } from '../report/state.ts';
import { type Problem, type StatusReport, type SynapseState, statusShape } from '../report/status-shape.ts';
import { summaryOf } from '../report/summary.ts';
import { ask } from './ask.ts';
import { adminTarget, directly, json, load, wait, waitOf } from './context.ts';
import { formatStatus } from './status-table.ts';

/** `synapse status` */
export const status: Command = {
  summary: 'Show what is wrong, every instance that synapse knows, and its state in HAProxy.',
  usage: '[SERVICE]',
  arguments: ['service'],
  options: { ...json, ...wait },
  notes: [
    'Asks the running synapse. When it is down, reads the sources (etcd), the state file and HAProxy itself, each with a ' +
      'deadline, and says so in the first line. Changes nothing.',
    'IN HAPROXY shows the status and the last check of the server in HAProxy, after an exclamation mark when it differs ' +
      'from STATE. FROM says where the instances of the service come from, PATH which folder of etcd it follows; CHANGED says ' +
      'when the running synapse last saw any of them change.',
  ],
  exits: { ...directly, 4: 'synapse runs but is not ready; the first line says why' },
  json: statusShape,
  examples: [
    ['synapse status', 'everything'],
    ['synapse status api', 'only the service api'],
    ["synapse status --json | jq '.problems'", 'what is wrong, for a program'],
  ],
  async run(context) {
    const { args, options, print, style } = context;
    const whole = await findStatus(context);
    const [name] = args;
    const shown = name === undefined ? whole : only(whole, name);
    print(options.json ? `${JSON.stringify(shown, null, 2)}\n` : formatStatus(shown, style));
    if (!whole.daemon.running) return 3;
    return whole.reason === null ? 0 : 4;
  },
};

/** The status from the running synapse, or read without it. @throws when neither is possible */
async function findStatus(context: CommandContext): Promise<StatusReport> {
  const target = await adminTarget(context);
  try {
    return await statusOf(target);
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
    return readStatus(context, error);
  }
}

async function statusOf(target: AdminTarget): Promise<StatusReport> {
  const [state, servers] = await Promise.all([
    ask(target, '/api/v1/state'),
    ask(target, '/api/v1/haproxy?servers=all').then(
      ({ servers }) => servers,
      () => null,
    ),
  ]);
  return { ...state, daemon: { running: true, reason: null }, problems: problemsOf(state, state.reason), servers };
}

function problemsOf(state: SynapseState, ready: string | null): readonly Problem[] {
  return findProblems(summaryOf(state), ready);
}

/** The status read without synapse. @throws why synapse did not answer, when no configuration says what to read instead */
export async function readStatus(context: CommandContext, why: NotRunning): Promise<StatusReport> {
  if (context.config === undefined) {
    throw new Error(`${why.message}; with -c FILE, this command reads etcd, the state file and HAProxy itself`);
  }
  const config = await loadConfigOffline(why, () => load(context));
  // Loaded here, because a status from the running synapse needs none of it.
  const [{ readDirectly }, { inspectHaproxy }] = await Promise.all([
    import('./offline-status.ts'),
    import('../haproxy/inspect.ts'),
  ]);
  const { state, snapshot, read } = await readDirectly(config, waitOf(context));
  const { sockets, statistics, problems: refused } = await inspectHaproxy(config.haproxy, snapshot);
  const services = withCounts(state.services, statistics?.servers ?? {});
  const found = { ...state, services, haproxy: { sockets, problems: refused } };
  return {
    version: context.version,
    reason: why.message,
    daemon: { running: false, reason: why.message },
    problems: problemsOf(found, null),
    read: [
      ...read,
      ...sockets.map(({ path, connected, version, workerPid, lastError }) => ({
        what: `HAProxy ${path}`,
        found: connected ? `${version}, worker ${workerPid}` : null,
        reason: lastError,
      })),
    ],
    ...found,
    servers: statistics?.servers ?? null,
  };
}

/** The services, with what the servers in HAProxy say. */
function withCounts(
  services: StatusReport['services'],
  servers: Readonly<Record<string, readonly ServerStatistics[]>>,
): StatusReport['services'] {
  const counted = Object.entries(services).map(([name, report]) => {
    const own = Object.hasOwn(servers, name) ? servers[name] : undefined;
    if (own === undefined) return [name, report] as const;
    const used = new Set(report.instances?.map(({ id }) => id));
    return [name, { ...report, haproxy: { servers: countStatistics(own, (id) => used.has(id)) } }] as const;
  });
  return Object.fromEntries(counted);
}

function only(status: StatusReport, name: string): StatusReport {
  const report = Object.hasOwn(status.services, name) ? status.services[name] : undefined;
  if (report === undefined) throw new Error(noService(name, status.services));
  const seen = status.servers !== null && Object.hasOwn(status.servers, name) ? status.servers[name] : undefined;
  const servers = status.servers && (seen === undefined ? {} : { [name]: seen });
  return { ...status, services: { [name]: report }, servers };
}
