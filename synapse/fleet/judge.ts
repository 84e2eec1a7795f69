import type { Expectation } from '../../common/fleet/records.ts';
import { counted, listed } from '../../common/wording.ts';
import {
  type HaproxyProof,
  noBackend,
  type Rotation,
  type ServerInWorker,
  type ServerProof,
} from '../haproxy/evidence.ts';
import type { FoundServers } from '../haproxy/find-servers.ts';
import type { ServerAt } from '../haproxy/runtime/read-servers.ts';
import type { Persistence } from '../haproxy/spec/persistence.ts';

/** What one service has for an instance. */
export interface ServiceFacts {
  readonly service: string;
  /** The registry has a record of the instance, which can be used. */
  readonly hasRecord: boolean;
  /** Undefined when HAProxy does not have the service. */
  readonly found: FoundServers | undefined;
  /** Why what the service has is not known, or was not given to HAProxy yet; null when it was. */
  readonly reason: string | null;
}

/** Everything that a verdict about an instance depends on. */
export interface InstanceFacts {
  readonly expect: Expectation;
  /** Every service whose source follows the key of the instance. */
  readonly services: readonly ServiceFacts[];
  /** Programs that read the files of `file_output` balance over the instances too, and cannot be asked. */
  readonly hasFileOutput: boolean;
  /** Read after {@link services}; undefined while there is no HAProxy output. */
  readonly proof: HaproxyProof | undefined;
}

/**
 * - `applied`, `quiet`, `unused`, `cannot`: as in an acknowledgement
 * - `not-yet`: something was found that is not as expected
 * - `unknown`: what is so could not be found out
 */
export type VerdictState = 'applied' | 'quiet' | 'unused' | 'cannot' | 'not-yet' | 'unknown';

/** What can be said about a request at one moment. */
export interface Verdict {
  readonly state: VerdictState;
  /** Null for `applied`, `quiet` and `unused` when there is nothing to say. */
  readonly reason: string | null;
  readonly connections: number;
  readonly queued: number;
  readonly oldWorkers: number;
  readonly oldWorkersUnasked: number;
  /** Drained servers to which persistence sends clients: only in maintenance they get none. */
  readonly sticky?: readonly StickyServer[];
}

/** A drained server to which clients come back. */
export interface StickyServer extends ServerAt {
  /** It had no connection and no queued request when it was read. */
  readonly isIdle: boolean;
}

/** A server with what its service wants of it. */
interface Judged {
  readonly server: ServerProof;
  readonly wanted: 'ready' | 'drain' | undefined;
  readonly fixed: boolean;
  readonly persistence: Persistence;
}

/** A finding that stands in the way. */
type Finding = Pick<Verdict, 'state' | 'reason'>;

/**
 * Judges whether an instance is as expected. Pure. What was read has to say so for every server of every service, in every
 * process, and in the file; a worker on its way out has to be unable to choose the server.
 */
export function judgeInstance(facts: InstanceFacts): Verdict {
  const { services, proof, hasFileOutput } = facts;
  const waiting = services.find(({ reason }) => reason !== null);
  if (waiting !== undefined)
    return uncounted({ state: 'unknown', reason: `service ${waiting.service}: ${waiting.reason}` });
  const outside = services.find(({ found, hasRecord }) => found === undefined && hasRecord);
  if (outside !== undefined && hasFileOutput) {
    const reason = `service ${outside.service} is not in HAProxy: programs that read file_output cannot be asked`;
    return uncounted({ state: 'cannot', reason });
  }
  if (proof === undefined) return uncounted({ state: 'unknown', reason: 'HAProxy is not known yet' });
  if (proof.reason !== null) return uncounted({ state: 'unknown', reason: proof.reason });
  const judged = serversOf(services, proof);
  const finding =
    facts.expect === 'up' ? findWhyNotUp(services, judged, proof) : findWhyInUse(facts.expect, judged, proof);
  const sticky = facts.expect === 'drained' && finding.state === 'not-yet' ? stickyAmong(judged) : [];
  return { ...finding, ...countsOf(judged, proof), ...(sticky.length > 0 && { sticky }) };
}

/** The drained servers that persistence keeps in use. */
function stickyAmong(judged: readonly Judged[]): readonly StickyServer[] {
  return judged.flatMap(({ server: { backend, name, workers, inFile }, wanted, persistence }) => {
    const charged = workers.filter(({ role }) => role === 'in charge');
    const isOpen = charged.some(({ rotation }) => rotation === 'open');
    const isClosed = charged.every(({ rotation }) => isOut(rotation, 'closed')) && isOut(inFile ?? 'open', 'closed');
    if (wanted !== 'drain' || persistence.survives !== 'drain' || isOpen || isClosed) return [];
    return [{ backend, name, isIdle: charged.every(({ connections, queued }) => connections + queued === 0) }];
  });
}

/** A verdict for which no server was read: nothing is counted. */
export function uncounted({ state, reason }: Finding): Verdict {
  return { state, reason, connections: 0, queued: 0, oldWorkers: 0, oldWorkersUnasked: 0 };
}

function countsOf(
  judged: readonly Judged[],
  { oldWorkers, oldWorkersUnasked }: HaproxyProof,
): Omit<Verdict, 'state' | 'reason'> {
  let connections = 0;
  let queued = 0;
  for (const worker of workersOf(judged)) {
    connections += worker.connections;
    queued += worker.queued;
  }
  return { connections, queued, oldWorkers, oldWorkersUnasked };
}

/** An old worker counts once for each name: what it has under the name is added up over its backends already. */
function* workersOf(judged: readonly Judged[]): Iterable<ServerInWorker> {
  const seen = new Set<string>();
  for (const { server } of judged) {
    for (const worker of server.workers) {
      const key = `${worker.pid} ${server.name}`;
      if (worker.role === 'old' && seen.has(key)) continue;
      seen.add(key);
      yield worker;
    }
  }
}

function serversOf(services: readonly ServiceFacts[], { servers }: HaproxyProof): readonly Judged[] {
  const backends = services.flatMap(({ found }) => found ?? []);
  const known = backends.flatMap(({ backend, servers: own, persistence }) =>
    servers
      .filter((server) => server.backend === backend)
      .map((server): Judged => {
        const { wanted, fixed = false } = own.find(({ name }) => name === server.name) ?? {};
        return { server, wanted, fixed, persistence };
      }),
  );
  const unknown = servers
    .filter(({ backend }) => backend === noBackend)
    .map((server): Judged => ({ server, wanted: undefined, fixed: false, persistence: unknownPersistence }));
  return [...known, ...unknown];
}

/** Workers on their way out may have loaded a file with other lines. */
const unknownPersistence: Persistence = { survives: 'drain', line: null };

/** For `drained` and `gone`: what still sends, or may send, new work to the instance. */
function findWhyInUse(expect: 'drained' | 'gone', judged: readonly Judged[], proof: HaproxyProof): Finding {
  const isThere = ({ server, wanted }: Judged): boolean =>
    wanted !== undefined || server.inFile !== 'absent' || server.workers.some(({ rotation }) => rotation !== 'absent');
  const used = judged.filter(isThere);
  // A HAProxy that is not asked may have any server until it has loaded the file.
  if (used.length === 0 && (proof.processes > 0 || judged.length === 0)) return { state: 'unused', reason: null };
  const blind = findWhyBlind(used, proof);
  if (blind !== undefined) return blind;
  for (const one of used) {
    const { server, wanted, fixed, persistence } = one;
    const name = nameOf(server);
    if (wanted === 'ready') return { state: 'not-yet', reason: `${name} is wanted: its record says that it is up` };
    if (wanted === 'drain' && expect === 'gone') return { state: 'not-yet', reason: `${name} has a record still` };
    const level = neededFor(expect, persistence);
    const inUse = server.workers.filter((worker) => !isOut(worker.rotation, level) && worker.mayChoose);
    const isInFile = !isOut(server.inFile ?? 'open', level);
    if (inUse.length === 0 && !isInFile) continue;
    if (fixed) return { state: 'cannot', reason: `the configuration itself names ${name}` };
    if (persistence.survives === 'always') {
      return {
        state: 'cannot',
        reason: `clients come back to ${name} whatever its state: ${persistence.line}`,
      };
    }
    return { state: 'not-yet', reason: whyInUse(one, inUse) };
  }
  const { connections, queued } = countsOf(judged, proof);
  const sticky = used.find(({ persistence: { survives } }) => survives === 'drain');
  const note = sticky === undefined ? null : `${nameOf(sticky.server)} is in maintenance: ${sticky.persistence.line}`;
  if (connections + queued === 0) return { state: 'quiet', reason: note };
  const left = [
    ...(connections > 0 ? [counted(connections, 'connection')] : []),
    ...(queued > 0 ? [`${counted(queued, 'request')} in its queue`] : []),
  ];
  return { state: 'applied', reason: `${listed(left)} left` };
}

/** How far out a server has to be: HAProxy lets clients come back to a drained server that they belong to. */
type Level = 'drained' | 'closed' | 'absent';

function neededFor(expect: 'drained' | 'gone', { survives }: Persistence): Level {
  if (survives === 'always') return 'absent';
  return expect === 'gone' || survives === 'drain' ? 'closed' : 'drained';
}

function isOut(rotation: Rotation, level: Level): boolean {
  if (rotation === 'absent') return true;
  if (level === 'absent') return false;
  return rotation === 'closed' || (rotation === 'drained' && level === 'drained');
}

function whyInUse({ server, persistence }: Judged, inUse: readonly ServerInWorker[]): string {
  const name = nameOf(server);
  const old = inUse.filter(({ role }) => role === 'old').length;
  if (old > 0 && old === inUse.length) {
    return `${counted(old, 'worker')} of HAProxy on the way out may still choose ${name} for the clients that are connected`;
  }
  const isDrained = inUse.length > 0 && inUse.every(({ rotation }) => rotation === 'drained');
  if (isDrained && persistence.survives === 'drain') {
    return `${name} is drained, and clients that belong to it may come back: ${persistence.line}`;
  }
  if (inUse.length > 0) return `${name} is still in rotation`;
  return `haproxy.cfg still has ${name}: a reload would bring it back`;
}

/** For `up`: why some HAProxy does not send new work to the instance. */
function findWhyNotUp(services: readonly ServiceFacts[], judged: readonly Judged[], proof: HaproxyProof): Finding {
  const wanted = judged.filter((one) => one.wanted !== undefined);
  if (wanted.length === 0) {
    const isUnused = services.length === 0 || services.some(({ hasRecord }) => hasRecord);
    if (isUnused) return { state: 'unused', reason: null };
    return { state: 'not-yet', reason: 'the registry has no record of it that can be used' };
  }
  const blind = findWhyBlind(wanted, proof);
  if (blind !== undefined) return blind;
  for (const { server, wanted: state } of wanted) {
    const name = nameOf(server);
    if (state === 'drain') return { state: 'not-yet', reason: `${name} is drained: its record says so` };
    for (const { role, rotation, stopped, weight } of server.workers) {
      if (role === 'old') continue;
      if (rotation === 'absent') return { state: 'not-yet', reason: `${name} is not in HAProxy yet` };
      if (rotation === 'closed') return { state: 'not-yet', reason: `${name} is in maintenance` };
      if (weight === 0) return { state: 'not-yet', reason: `${name} has the weight 0` };
      if (rotation === 'drained') return { state: 'not-yet', reason: `${name} is drained` };
      if (stopped) return { state: 'not-yet', reason: `HAProxy's own check says that ${name} is down` };
    }
    if (server.inFile !== 'open')
      return { state: 'not-yet', reason: `haproxy.cfg does not have ${name} in rotation yet` };
  }
  return { state: 'applied', reason: null };
}

/** What keeps this synapse from ever knowing. */
function findWhyBlind(judged: readonly Judged[], { processes }: HaproxyProof): Finding | undefined {
  if (processes === 0) {
    return { state: 'cannot', reason: 'HAProxy cannot be asked: its runtime API is not used (do_socket: false)' };
  }
  if (judged.some(({ server }) => server.inFile === null)) {
    return { state: 'cannot', reason: 'synapse does not write haproxy.cfg (do_writes: false): a reload may undo it' };
  }
  return undefined;
}

function nameOf({ backend, name }: ServerProof): string {
  return backend === noBackend ? name : `${backend}/${name}`;
}
