import { mkdtemp, rm } from 'node:fs/promises';
import type { NetConnectOpts } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { serveAdmin } from '../../../common/admin/admin.ts';
import { journalRoutes } from '../../../common/admin/journal-routes.ts';
import { silentLog } from '../../../common/daemon/log.ts';
import { makeInstance } from '../../../common/instance.ts';
import { controlRoutes } from '../../../nerve/control.ts';
import { Nerve } from '../../../nerve/nerve.ts';
import { describeState } from '../../../nerve/status.ts';
import { Events } from '../../../synapse/report/events.ts';
import { pageRoutes } from '../../../synapse/report/page-routes.ts';
import { apiRoutes } from '../../../synapse/report/routes.ts';
import { MemoryRegistry, memoryChanges } from './nerve-in-memory.ts';
import { nerveConfig, serviceConfig } from './nerve-service.ts';
import { serviceReport } from './service-report.ts';

/** The admin servers of a nerve and a synapse. */
export interface AdminServers {
  readonly to: Readonly<Record<Surface, NetConnectOpts>>;
  /** The state of the nerve and what it told its registry. */
  seen(): string;
  close(): Promise<void>;
}
/** One of the servers. */
export type Surface = 'synapse' | 'nerve' | 'nerve socket';

const counters = {
  ...{ status: 'UP', current: 1, queued: 0, sessions: 9, requests: 9 },
  ...{ errors: 0, failed: 0, retries: 0, active: 1, backup: 0 },
};
const report = serviceReport({ age: 1, revision: '7', instances: [makeInstance({ host: '10.0.0.1', port: 80 })] });

/** Starts a synapse and a nerve, each with one service `api`, that nothing but these servers reaches. */
export async function openAdminServers(): Promise<AdminServers> {
  // A thread of a long run cannot set the permissions of the socket, which are another test's matter.
  if (!isMainThread) process.umask = () => 0o22;
  const folder = await mkdtemp(join(tmpdir(), 'smartstack-fuzz-'));
  const end = new AbortController();
  const synapse = {
    ready: () => null,
    state: () => ({ services: { api: report }, haproxy: null }),
    statistics: async () => ({ services: { api: counters }, servers: {} }),
    traces: () => ({}),
    sent: () => [],
    fleet: async () => undefined,
  };
  const log = silentLog;
  const calls: string[] = [];
  const nerve = new Nerve({
    log,
    connect: (_, onLeftover) => new MemoryRegistry('etcd', calls, onLeftover),
    operator: memoryChanges(),
  });
  nerve.apply(nerveConfig([serviceConfig('api', [])]));
  const journal = new Events(500);
  journal.record({ kind: 'record_rejected', level: 'warn', service: 'api', where: 'a', reason: 'b' });
  const socket = join(folder, 'control.sock');
  const servers = await Promise.all([
    serveAdmin(
      {
        listen: '127.0.0.1:0',
        routes: { ...pageRoutes(), ...apiRoutes(synapse, 'test'), ...journalRoutes(journal, { maxStreams: 1_000 }) },
        ready: () => null,
        state: () => ({ version: 'test', ...synapse.state() }),
      },
      { log },
      end.signal,
    ),
    serveAdmin(
      {
        listen: '127.0.0.1:0',
        control_socket: socket,
        ready: () => nerve.notReadyReason,
        state: () => describeState(nerve, 'test'),
        control: controlRoutes({ nerve, operator: memoryChanges(), drainTimeMs: () => 1_000, wait: async () => [] }),
      },
      { log },
      end.signal,
    ),
  ]);
  const [one = 0, other = 0] = servers.map(({ address }) => Number(address?.split(':').at(-1)));
  const host = '127.0.0.1';
  return {
    to: { synapse: { host, port: one }, nerve: { host, port: other }, 'nerve socket': { path: socket } },
    seen: () => JSON.stringify([calls, describeState(nerve, 'test').services]),
    async close() {
      end.abort();
      await Promise.all(servers.map(({ closed }) => closed));
      await nerve.close(1_000);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
