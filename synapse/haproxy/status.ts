import type { ApplyLoop } from './apply-loop.ts';
import type { ConfigWriter } from './configfile/config-writer.ts';
import type { AssignedPorts } from './ports/port-assignment.ts';
import type { Reloader } from './reload/reloader.ts';
import type { HaproxyProcess } from './runtime/process.ts';
import { backendOf, type DesiredService, nameInUse } from './spec/desired-service.ts';
import { textsOf } from './spec/reload-reason.ts';
import { serverOf } from './spec/server.ts';
import type { HaproxyReport } from './status-shape.ts';

/** The state of HAProxy's output while synapse runs: every key, except `reloadFree` without `reload_free_services`. */
export type HaproxyStatus = Required<Omit<HaproxyReport, 'reloadFree'>> & Pick<HaproxyReport, 'reloadFree'>;

/** One runtime API socket. */
export type SocketStatus = HaproxyReport['sockets'][number];

/** The parts that the status is made of. */
export interface StatusParts {
  readonly services: ReadonlyMap<string, DesiredService>;
  readonly processes: readonly HaproxyProcess[];
  readonly writer: ConfigWriter;
  readonly reloader: Reloader;
  readonly loop: Pick<ApplyLoop, 'reason' | 'waiting'>;
  readonly ports: AssignedPorts | undefined;
  /** Service → why it cannot be in HAProxy. */
  readonly problems: ReadonlyMap<string, string>;
}

/** The status at this moment. Changes nothing. */
export function statusOf(parts: StatusParts): HaproxyStatus {
  const { services, processes, writer, reloader, loop, ports, problems } = parts;
  const waiting = [...reloader.waiting, ...loop.waiting];
  const quarantined = Object.fromEntries(
    Object.entries(writer.quarantined).map(([key, reason]) => {
      const desired = services.get(key);
      return [desired === undefined ? key : nameInUse(desired), reason];
    }),
  );
  return {
    generation: writer.accepted,
    wantedGeneration: writer.state.wanted,
    rejected: writer.reason,
    quarantined,
    pendingReload: [
      ...textsOf(reloader.reasons),
      ...[...loop.waiting.keys()].map(
        (service) => `service ${service} has changed, and takes a reload for each change`,
      ),
    ],
    oldWorkers: reloader.oldWorkers,
    lastError: loop.reason ?? reloader.reason,
    writeError: loop.reason,
    fileWrittenAt: writer.writtenAt?.toISOString() ?? null,
    lastReloadAt: reloader.lastReloadAt?.toISOString() ?? null,
    sockets: processes.map((haproxy) => ({
      path: haproxy.path,
      connected: haproxy.inSync,
      version: haproxy.worker?.version ?? null,
      workerPid: haproxy.worker?.pid ?? null,
      generation: haproxy.generation ?? null,
      lastError: haproxy.reason,
    })),
    held: withServices(
      services.values(),
      processes.flatMap((haproxy) => haproxy.held),
    ),
    waitingReload: Object.fromEntries(waiting.map(([service, waitMs]) => [service, Math.ceil(waitMs / 1000)])),
    stuck: withServices(
      services.values(),
      processes.flatMap((haproxy) => haproxy.stuck),
    ),
    dropped: droppedOptions(services.values()),
    problems: { ...Object.fromEntries(problems), ...Object.fromEntries(ports?.refused ?? []), ...quarantined },
    ...(ports !== undefined &&
      ports.all.length > 0 && {
        reloadFree: { backends: ports.backends, others: Object.fromEntries(ports.ownFrontend) },
      }),
  };
}

/** The most options that the status lists. */
const mostDropped = 200;

/** The options of records that are not used, and the numbers that other servers have. */
function droppedOptions(services: Iterable<DesiredService>): HaproxyStatus['dropped'] {
  const found: HaproxyStatus['dropped'][number][] = [];
  for (const desired of services) {
    const { active, instances = [], ids } = desired;
    if (active === undefined) continue;
    const service = nameInUse(desired);
    for (const instance of instances) {
      if (instance.serverOptions === undefined) continue;
      const { name, dropped, askedId } = serverOf(instance, active.servers);
      const id = ids.get(name);
      const isOther = askedId !== undefined && id !== undefined && id !== askedId;
      const other = `haproxy_server_options: id ${askedId}: another server has this number, or this server had ${id} already`;
      for (const reason of isOther ? [...dropped, other] : dropped) found.push({ service, name, reason });
      if (found.length >= mostDropped) return found;
    }
  }
  return found;
}

/** The servers with the names of their services. */
function withServices<Found extends { readonly backend: string }>(
  services: Iterable<DesiredService>,
  found: readonly Found[],
): readonly (Found & { readonly service: string })[] {
  if (found.length === 0) return [];
  const names = new Map([...services].map((desired) => [backendOf(desired), nameInUse(desired)]));
  return found.map((server) => ({ service: names.get(server.backend) ?? server.backend, ...server }));
}

/** Why HAProxy may not run what is wanted; null while it does, as far as synapse can see. */
export function readinessReason(
  status: Pick<HaproxyStatus, 'sockets' | 'rejected' | 'generation' | 'wantedGeneration' | 'lastError'>,
): string | null {
  const { sockets, rejected, generation, wantedGeneration, lastError: failure } = status;
  if (rejected !== null) return `HAProxy refuses the new configuration: ${rejected}`;
  for (const { path, connected, lastError } of sockets) {
    if (!connected) return `HAProxy's runtime API at ${path} is not connected: ${lastError ?? 'not tried yet'}`;
  }
  if (generation !== wantedGeneration) {
    return `the new configuration of HAProxy has not been written yet${failure === null ? '' : `: ${failure}`}`;
  }
  for (const { path, generation: running } of sockets) {
    if (running !== wantedGeneration) return `HAProxy at ${path} has not loaded the new configuration yet`;
  }
  // HAProxy may lack what a reload would bring it, or have everything while a restart of it would not.
  if (failure !== null) return `writing haproxy.cfg or reloading HAProxy does not work: ${failure}`;
  return null;
}
