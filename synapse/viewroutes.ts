import { type ReadRoute, sendJson } from '../common/adminroutes.ts';
import { reasonOf } from '../common/log.ts';
import { differences, type SeenServer } from './differences.ts';
import type { ServiceReport } from './state.ts';
import { summaryOf } from './summary.ts';
import type { Synapse } from './synapse.ts';

type Viewed = Pick<Synapse<unknown, unknown>, 'ready' | 'state' | 'view'>;

/**
 * What the live page asks for, and others may:
 * `/api/v1/summary` one line for each service, `?service=NAME` (again and again) only those;
 * `/api/v1/service?name=NAME` all of one service;
 * `/api/v1/haproxy` HAProxy's own counters of each service, with `?service=NAME` also its servers and where they differ.
 */
export function viewRoutes(synapse: Viewed, version: string): Readonly<Record<string, ReadRoute>> {
  return {
    '/api/v1/summary': (request, response) => {
      const only = queryOf(request.url).getAll('service');
      const state = synapse.state(only.length > 0 ? only : undefined);
      sendJson(response, 200, {
        version,
        reason: synapse.ready(),
        time: new Date().toISOString(),
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
      const name = queryOf(request.url).get('service') ?? undefined;
      try {
        const view = (await synapse.view(name)) as { readonly servers?: readonly SeenServer[] | null };
        const report = name === undefined ? undefined : synapse.state([name]).services[name];
        const differ = report?.instances && view.servers ? { differences: differing(report, view.servers) } : {};
        sendJson(response, 200, { service: name ?? null, ...view, ...differ });
      } catch (error) {
        sendJson(response, 503, { error: reasonOf(error) });
      }
    },
  };
}

/** HAProxy's counters may be from before a change that is this young: then nothing can be said. Milliseconds. */
const settling = 3_000;

function differing({ instances, changed_at: at }: ServiceReport, servers: readonly SeenServer[]) {
  const settled = at !== null && Date.now() - Date.parse(at) > settling;
  return settled ? differences(instances ?? [], servers) : {};
}

function queryOf(url: string | undefined): URLSearchParams {
  return new URL(url ?? '/', 'http://localhost').searchParams;
}
