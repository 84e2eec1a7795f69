import { type ReadRoute, sendJson } from '../../common/admin/routes.ts';
import { clock } from '../../common/async/clock.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import { plainReason } from '../../common/reason.ts';
import type { Synapse } from '../synapse.ts';
import { noService, type ServiceReport } from './state.ts';
import { differences, type SeenServer } from './status.ts';
import { summaryOf } from './summary.ts';

type Viewed = Pick<Synapse<unknown, unknown>, 'ready' | 'state' | 'view' | 'traces' | 'sent'>;

/** What an output sees, as far as it is looked into here. */
interface Seen {
  readonly servers?: Readonly<Record<string, readonly SeenServer[]>>;
}

/**
 * What the live page and the commands ask for, and others may:
 * `/api/v1/summary` one line for each service, `?service=NAME` (again and again) only those;
 * `/api/v1/service?name=NAME` all of one service;
 * `/api/v1/haproxy` HAProxy's own counters of each service, with `?service=NAME` also its servers and where they differ,
 * with `?servers=all` those of all services;
 * `/api/v1/explain?service=NAME` all there is to say of one service and its instances.
 */
export function viewRoutes(synapse: Viewed, version: string): Readonly<Record<string, ReadRoute>> {
  return {
    '/api/v1/summary': (request, response) => {
      const only = queryOf(request.url).getAll('service');
      const state = synapse.state(only.length > 0 ? only : undefined);
      sendJson(response, 200, {
        version,
        reason: synapse.ready(),
        time: clock.date().toISOString(),
        ...summaryOf(state),
      });
    },
    '/api/v1/service': (request, response) => {
      const name = queryOf(request.url).get('name') ?? '';
      const { services } = synapse.state([name]);
      const report = Object.hasOwn(services, name) ? services[name] : undefined;
      if (report === undefined) sendJson(response, 404, { error: `no service ${name}` });
      else sendJson(response, 200, report);
    },
    '/api/v1/haproxy': async (request, response) => {
      const query = queryOf(request.url);
      const name = query.get('service');
      try {
        if (query.get('servers') === 'all') {
          sendJson(response, 200, (await synapse.view('all')) as object);
          return;
        }
        const view = (await synapse.view(name === null ? undefined : { service: name })) as Seen;
        const servers = name === null ? null : (view.servers?.[name] ?? null);
        const report = name === null ? undefined : synapse.state([name]).services[name];
        const differ = report?.instances && servers ? { differences: differing(report, servers) } : {};
        sendJson(response, 200, { service: name, ...view, servers, ...differ });
      } catch (error) {
        sendJson(response, 503, { error: reasonOf(error) });
      }
    },
    '/api/v1/explain': async (request, response) => {
      const service = queryOf(request.url).get('service') ?? '';
      const { services, haproxy } = synapse.state([service]);
      const report = Object.hasOwn(services, service) ? services[service] : undefined;
      if (report === undefined) {
        sendJson(response, 404, { error: noService(service, synapse.state().services) });
        return;
      }
      const traces = synapse.traces(service);
      const ids = new Set([...(report.instances ?? []).map(({ id }) => id), ...Object.keys(traces)]);
      const sent = [...ids].map((id) => [id, synapse.sent(service, id)] as const);
      const seen = await synapse.view({ service }).then(
        (view) => ({ servers: (view as Seen).servers?.[service] ?? null, reason: null }),
        (error) => ({ servers: null, reason: plainReason(error) }),
      );
      sendJson(response, 200, {
        version,
        reason: synapse.ready(),
        service,
        report,
        haproxy,
        seen,
        traces,
        sent: Object.fromEntries(sent.filter(([, commands]) => commands.length > 0)),
      });
    },
  };
}

/** HAProxy's counters may be from before a change that is this young: then nothing can be said. Milliseconds. */
const settling = 3_000;

function differing({ instances, changed_at: at }: ServiceReport, servers: readonly SeenServer[]) {
  const settled = at !== null && clock.wallTime() - Date.parse(at) > settling;
  return settled ? differences(instances ?? [], servers) : {};
}

function queryOf(url: string | undefined): URLSearchParams {
  return new URL(url ?? '/', 'http://localhost').searchParams;
}
