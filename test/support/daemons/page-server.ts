import { serveAdmin } from '../../../common/admin/admin.ts';
import { journalRoutes } from '../../../common/admin/journal-routes.ts';
import { silentLog } from '../../../common/daemon/log.ts';
import type { Events } from '../../../synapse/report/events.ts';
import { pageRoutes } from '../../../synapse/report/page-routes.ts';
import { apiRoutes } from '../../../synapse/report/routes.ts';

/** Serves the live page of a synapse that the test makes up, until `signal` aborts. @returns its URL */
export async function servePage(
  synapse: Parameters<typeof apiRoutes>[0],
  events: Events,
  signal: AbortSignal,
): Promise<string> {
  const routes = { ...pageRoutes(), ...apiRoutes(synapse, 'test'), ...journalRoutes(events) };
  const answers = { listen: '127.0.0.1:0', ready: () => null, state: () => ({}), routes };
  const { address } = await serveAdmin(answers, { log: silentLog }, signal);
  return `http://${address}/`;
}
