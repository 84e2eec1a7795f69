import type { ServerResponse } from 'node:http';
import { hostname } from 'node:os';
import { type ReadRoute, sendJson } from '../../common/admin/routes.ts';
import { clock } from '../../common/async/clock.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import { plainReason } from '../../common/reason.ts';
import type { FleetRun } from '../fleet-run.ts';
import type { ServerStatistics } from '../haproxy/statistics/server-shape.ts';
import type { Synapse } from '../synapse.ts';
import type { ApiDocuments, SeenServers } from './api.ts';
import { differences } from './differences.ts';
import type { ServiceReport } from './service-shape.ts';
import { noService } from './state.ts';
import { summaryOf } from './summary.ts';

/** The parts of synapse that answer questions. */
interface ReadableSynapse extends Pick<Synapse, 'ready' | 'state' | 'statistics' | 'traces' | 'sent'> {
  readonly fleet: FleetRun['inquire'];
}

/** The documents that the commands and the live page read; see {@link ApiDocuments} and `synapse/events.md`. */
export function apiRoutes(synapse: ReadableSynapse, version: string): Readonly<Record<string, ReadRoute>> {
  return {
    '/api/v1/summary': (request, response) => {
      const names = queryOf(request.url).getAll('service');
      const state = synapse.state(names.length > 0 ? names : undefined);
      send<'/api/v1/summary'>(response, {
        version,
        reason: synapse.ready(),
        host: hostname(),
        time: clock.date().toISOString(),
        ...summaryOf(state),
      });
    },
    '/api/v1/service': (request, response) => {
      const name = queryOf(request.url).get('name') ?? '';
      const report = reportOf(synapse, name);
      if (report === undefined) sendJson(response, 404, { error: `no service ${name}` });
      else send<'/api/v1/service'>(response, report);
    },
    '/api/v1/haproxy': async (request, response) => {
      const query = queryOf(request.url);
      try {
        if (query.get('servers') === 'all') {
          send<'/api/v1/haproxy?servers=all'>(response, await synapse.statistics('all'));
        } else {
          send<'/api/v1/haproxy'>(response, await countersOf(synapse, query.get('service')));
        }
      } catch (error) {
        sendJson(response, 503, { error: reasonOf(error) });
      }
    },
    '/api/v1/fleet': async (request, response) => {
      const query = queryOf(request.url);
      const service = query.get('service') ?? undefined;
      if (service !== undefined && reportOf(synapse, service) === undefined) {
        sendJson(response, 404, { error: noService(service, synapse.state().services) });
        return;
      }
      const found = await synapse.fleet({ ask: query.get('ask') === 'now' || service !== undefined, service });
      if (found === undefined) sendJson(response, 404, { error: 'the configuration says fleet: false' });
      else send<'/api/v1/fleet'>(response, found);
    },
    '/api/v1/explain': async (request, response) => {
      const service = queryOf(request.url).get('service') ?? '';
      const report = reportOf(synapse, service);
      if (report === undefined) {
        sendJson(response, 404, { error: noService(service, synapse.state().services) });
        return;
      }
      send<'/api/v1/explain'>(response, {
        version,
        reason: synapse.ready(),
        service,
        report,
        haproxy: synapse.state([service]).haproxy,
        seen: await seenServers(synapse, service),
        traces: synapse.traces(service),
        sent: sentTo(synapse, service, report),
      });
    },
  };
}

function send<Path extends keyof ApiDocuments>(response: ServerResponse, document: ApiDocuments[Path]): void {
  sendJson(response, 200, document);
}

function reportOf(synapse: ReadableSynapse, service: string): ServiceReport | undefined {
  const { services } = synapse.state([service]);
  return Object.hasOwn(services, service) ? services[service] : undefined;
}

async function countersOf(synapse: ReadableSynapse, service: string | null): Promise<ApiDocuments['/api/v1/haproxy']> {
  const { services, servers: all } = await synapse.statistics(service === null ? undefined : { service });
  if (service === null) return { service, services, servers: null };
  const servers = ownOf(all, service);
  const report = reportOf(synapse, service);
  const comparable = servers !== null && report !== undefined && report.instances !== null;
  return { service, services, servers, ...(comparable && { differences: differencesOf(report, servers) }) };
}

async function seenServers(synapse: ReadableSynapse, service: string): Promise<SeenServers> {
  try {
    const { servers } = await synapse.statistics({ service });
    return { servers: ownOf(servers, service), reason: null };
  } catch (error) {
    return { servers: null, reason: plainReason(error) };
  }
}

/** The servers of a service; null when there are none, also for a name such as `constructor` that every object has. */
function ownOf<Servers>(all: Readonly<Record<string, Servers>>, service: string): Servers | null {
  return Object.hasOwn(all, service) ? (all[service] as Servers) : null;
}

function sentTo(synapse: ReadableSynapse, service: string, { instances }: ServiceReport) {
  const ids = new Set([...(instances ?? []).map(({ id }) => id), ...Object.keys(synapse.traces(service))]);
  const sent = [...ids].map((id) => [id, synapse.sent(service, id)] as const);
  return Object.fromEntries(sent.filter(([, commands]) => commands.length > 0));
}

/** Milliseconds after a change during which HAProxy's counters may be older than the change: they are not compared then. */
const settlingMs = 3_000;

function differencesOf({ instances, changed_at: at }: ServiceReport, servers: readonly ServerStatistics[]) {
  const settled = at !== null && clock.wallTime() - Date.parse(at) > settlingMs;
  return settled ? differences(instances ?? [], servers) : {};
}

function queryOf(url: string | undefined): URLSearchParams {
  return new URL(url ?? '/', 'http://localhost').searchParams;
}
