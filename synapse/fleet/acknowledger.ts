import { clock } from '../../common/async/clock.ts';
import { sleep, WakeableSleep } from '../../common/async/sleep.ts';
import { LimitedLog } from '../../common/daemon/limited-log.ts';
import { type Log, reasonOf } from '../../common/daemon/log.ts';
import type { Entry } from '../../common/etcd/client/key-value.ts';
import { printable } from '../../common/etcd/records/records.ts';
import type { PrefixChange } from '../../common/etcd/watch/prefix-state.ts';
import type { Reflector } from '../../common/etcd/watch/reflector.ts';
import { type FleetKeys, requestOfKey } from '../../common/fleet/keys.ts';
import { type AckRecord, concerns, readRequest } from '../../common/fleet/records.ts';
import { noBackend } from '../haproxy/evidence.ts';
import { type ServerAt, serverKey } from '../haproxy/runtime/read-servers.ts';
import { type FleetView, type InstanceRequest, type Prepared, pathsIn, prepare, servicesOf } from './facts.ts';
import { ackOf, type FollowedRequest, followed, isSettled, take } from './followed-request.ts';
import { judgeInstance, uncounted, type Verdict } from './judge.ts';
import { acknowledgements, secondsToAcknowledge } from './metrics.ts';
import { pauseMs, restAfterMs, settledPauseMs } from './pace.ts';

/** What {@link Acknowledger} needs. */
export interface AcknowledgerDeps {
  readonly log: Log;
  readonly view: FleetView;
  /** Follows the services and the requests. */
  readonly reflector: Pick<Reflector, 'hasShown'>;
  /** How many deletes below the services are not passed on yet. */
  readonly pendingDeletes: () => number;
  readonly cluster: string;
  readonly keys: FleetKeys;
  /** The paths in the record of this synapse. */
  readonly paths: () => readonly string[];
  readonly session: string;
  /** Has an acknowledgement written. `first`: it is the first one of this request. */
  readonly write: (request: string, record: AckRecord, first: boolean) => void;
  /** The request is over: its acknowledgement goes. */
  readonly withdraw: (request: string) => void;
}

/** More requests than this are not followed at the same time. */
const mostRequests = 1_000;
/** How long one round waits until the watch has shown what a request asks for. */
const shownLimitMs = 250;
/** Follows the requests to the fleet, finds out what is so, and acknowledges it. */
export class Acknowledger {
  readonly #deps: AcknowledgerDeps;
  readonly #limited: LimitedLog;
  readonly #requests = new Map<string, FollowedRequest>();
  /** Request → the services that follow its key: with thousands of services, finding them takes time. */
  readonly #following = new Map<string, readonly string[]>();
  readonly #sleeper = new WakeableSleep();
  /** All requests of the fleet, as the watch shows them. */
  #entries: ReadonlyMap<string, Entry> = new Map();

  constructor(deps: AcknowledgerDeps) {
    this.#deps = deps;
    this.#limited = new LimitedLog(deps.log);
  }

  /** The requests that are followed now. */
  get requests(): readonly FollowedRequest[] {
    return [...this.#requests.values()];
  }

  /** Something has happened that a request may have waited for. Costs nothing without requests. */
  wake(): void {
    if (this.#requests.size > 0) this.#sleeper.wake();
  }

  /** Takes a change of the requests. */
  takeChange({ entries, changed, seenAt, reason }: PrefixChange): void {
    this.#entries = entries;
    this.#following.clear();
    // The requests were not followed for a while.
    if (reason === 'list') this.#requests.clear();
    for (const { key, entry } of changed) this.#takeEntry(key, entry, seenAt);
  }

  /** The paths in the record of this synapse have changed: other requests concern it now. */
  pathsChanged(): void {
    const now = clock.now();
    this.#following.clear();
    for (const [key, entry] of this.#entries) {
      const id = requestOfKey(this.#deps.keys, key);
      if (id !== undefined && !this.#requests.has(id)) this.#takeEntry(key, entry, now);
    }
    this.wake();
  }

  /** Judges and acknowledges until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    let tookMs = 0;
    let endedAt = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      const restMs = endedAt + restAfterMs(tookMs) - clock.now();
      if (restMs > 0) await sleep(restMs, signal);
      let begin = clock.now();
      if (this.#requests.size > 0) {
        try {
          await this.#findShown();
          await this.#deps.view.haproxy?.fileWritten(signal);
          // What has happened until now is judged now.
          this.#sleeper.clear();
          begin = clock.now();
          await this.#judgeAll(signal);
        } catch (error) {
          this.#limited.write('error', 'requests to the fleet could not be judged', { reason: reasonOf(error) });
        }
      }
      endedAt = clock.now();
      tookMs = endedAt - begin;
      await this.#pause(tookMs, signal);
    }
  }

  #takeEntry(key: string, entry: Entry | undefined, seenAt: number): void {
    const { keys, paths } = this.#deps;
    const id = requestOfKey(keys, key);
    if (id === undefined) {
      this.#ignore(key, 'its key is not that of a request');
      return;
    }
    if (entry === undefined) {
      this.#forget(id);
      return;
    }
    try {
      const record = readRequest(entry);
      if (!concerns(record, paths())) this.#forget(id);
      else if (!this.#requests.has(id) && this.#requests.size >= mostRequests)
        this.#ignore(key, `${mostRequests} requests are followed already`);
      else {
        this.#requests.set(id, followed(id, record, { revision: Number(entry.modRevision), seenAt }));
        this.#sleeper.wake();
      }
    } catch (error) {
      this.#forget(id);
      this.#ignore(key, reasonOf(error));
    }
  }

  #forget(id: string): void {
    const known = this.#requests.get(id);
    this.#requests.delete(id);
    if (known?.ack !== undefined) this.#deps.withdraw(id);
  }

  #ignore(key: string, reason: string): void {
    acknowledgements.inc({ result: 'ignored' });
    this.#limited.warn('a request to the fleet is ignored', { key: printable(key), reason });
  }

  /** Judges every request once. */
  async #judgeAll(signal: AbortSignal): Promise<void> {
    const open = this.requests;
    const shown = open.filter(({ isShown }) => isShown);
    for (const request of open) if (!request.isShown) this.#conclude(request, notShown);
    const instances = shown.flatMap((request) =>
      request.record.kind === 'instance' ? [{ request, record: request.record }] : [],
    );
    await this.#judgeInstances(instances, signal);
    const revisions = shown.filter(({ record }) => record.kind === 'revision');
    if (revisions.length === 0 || signal.aborted) return;
    const reason = await this.#whyUnapplied(signal);
    const state = reason === null ? 'applied' : 'not-yet';
    for (const request of revisions) this.#conclude(request, uncounted({ state, reason }));
  }

  /** Finds out which requests are as old as what is known. */
  async #findShown(): Promise<void> {
    const { view, cluster, reflector } = this.#deps;
    const waiting = this.requests.filter(({ isShown }) => !isShown);
    if (waiting.length === 0) return;
    const revision = Math.max(...waiting.map((request) => request.revision));
    const all = pathsIn(view, cluster, { now: true });
    const isAboutAll = waiting.some(({ record }) => record.kind === 'revision' && record.path === undefined);
    const asked = all.filter((path) => isAboutAll || waiting.some(({ record }) => concerns(record, [path])));
    const prefixes = new Set(asked.map((path) => `${path}/`));
    const isShown = prefixes.size === 0 || (await reflector.hasShown(revision, { limitMs: shownLimitMs, prefixes }));
    if (!isShown) return;
    for (const { id, revision: its } of waiting) {
      const now = this.#requests.get(id);
      if (now?.revision === its) this.#requests.set(id, { ...now, isShown: true });
    }
  }

  async #judgeInstances(
    asked: readonly { readonly request: FollowedRequest; readonly record: InstanceRequest }[],
    signal: AbortSignal,
  ): Promise<void> {
    if (asked.length === 0) return;
    const { haproxy, hasFileOutput } = this.#deps.view;
    const prepared = asked.map((one) => ({ ...one, ...this.#prepare(one.request, one.record) }));
    const servers = new Map<string, ServerAt>();
    for (const one of prepared) for (const at of one.servers) servers.set(serverKey(at), at);
    const proof = await haproxy?.prove([...servers.values()], signal);
    // A service that HAProxy is not to have may still be there until a reload that is due.
    const isOutside = prepared.some(isOutsideHaproxy);
    const unapplied = isOutside ? ((await haproxy?.unapplied(signal)) ?? null) : null;
    if (signal.aborted) return;
    for (const one of prepared) {
      const { request, record } = one;
      if (unapplied !== null && isOutsideHaproxy(one)) {
        this.#conclude(request, uncounted({ state: 'unknown', reason: unapplied }));
        continue;
      }
      const keys = new Set(one.servers.map(serverKey));
      const own = proof && { ...proof, servers: proof.servers.filter((at) => keys.has(serverKey(at))) };
      // What was applied meanwhile has to be read again.
      const { services } = this.#prepare(request, record);
      const verdict = judgeInstance({ expect: record.expect, services, hasFileOutput, proof: own });
      this.#close(request, verdict);
      this.#conclude(request, verdict);
    }
  }

  #prepare({ id }: FollowedRequest, record: InstanceRequest): Prepared {
    const { view, cluster } = this.#deps;
    let following = this.#following.get(id);
    if (following === undefined) {
      following = servicesOf(view, record, cluster);
      this.#following.set(id, following);
    }
    return prepare(view, record, { cluster, following });
  }

  /** Closes drained servers to which clients come back: those without connections at once, the others after a while. */
  #close({ seenAt }: FollowedRequest, { sticky = [] }: Verdict): void {
    const { haproxy } = this.#deps.view;
    for (const server of sticky) {
      if (server.isIdle || clock.now() - seenAt >= (haproxy?.stickyDrainMs ?? 0)) haproxy?.closeDrained(server);
    }
  }

  async #whyUnapplied(signal: AbortSignal): Promise<string | null> {
    const { view, pendingDeletes } = this.#deps;
    const reason = view.unapplied();
    if (reason !== null) return reason;
    if (pendingDeletes() > 0) return 'it is not known yet whether instances that left were withdrawn';
    if (view.haproxy === undefined) return 'HAProxy is not known yet';
    return (await view.haproxy.unapplied(signal)) ?? view.unapplied();
  }

  /** Takes a verdict, and has the acknowledgement written that follows from it. */
  #conclude(judged: FollowedRequest, verdict: Verdict): void {
    const request = this.#requests.get(judged.id);
    // Another request meanwhile, or none.
    if (request?.revision !== judged.revision) return;
    const now = clock.now();
    const { request: next, write } = take(request, verdict, now);
    this.#requests.set(next.id, next);
    if (write === undefined) return;
    const { session } = this.#deps;
    const ms = now - request.seenAt;
    acknowledgements.inc({ result: write.result });
    if (request.ack === undefined) secondsToAcknowledge.observe(ms / 1_000);
    const record = ackOf(next, write, { session, appliedAt: clock.date().toISOString(), ms });
    this.#deps.write(next.id, record, request.ack === undefined);
  }

  /** Waits until something happens, or until it is time to look again. `tookMs`: how long the last round took. */
  async #pause(tookMs: number, signal: AbortSignal): Promise<void> {
    const open = this.requests.filter((request) => !isSettled(request));
    if (this.#requests.size === 0) return await this.#sleeper.sleep(idleMs, signal);
    if (open.length === 0) return await this.#sleeper.sleep(settledPauseMs, signal);
    const waitedMs = clock.now() - Math.min(...open.map(({ seenAt }) => seenAt));
    await this.#sleeper.sleep(pauseMs({ waitedMs, tookMs }), signal);
  }
}

/** Without requests, nothing is done: a request ends the wait. */
const idleMs = 3_600_000;

const notShown = uncounted({
  state: 'unknown',
  reason: 'etcd has not shown everything up to the request: the member lags, or the connection is interrupted',
});

function isOutsideHaproxy({ services, servers }: Prepared): boolean {
  return (
    services.length === 0 ||
    services.some(({ found }) => found === undefined) ||
    servers.some(({ backend }) => backend === noBackend)
  );
}
