import { clock } from '../../../common/async/clock.ts';
import type { Log } from '../../../common/daemon/log.ts';
import type { Capabilities } from '../spec/capabilities.ts';
import { type DesiredServer, type DesiredService, desiredServers } from '../spec/desired-service.ts';
import { type ReloadReason, serverReason } from '../spec/reload-reason.ts';
import { Attempts, type StuckServer } from './attempts.ts';
import { OpenIssues } from './bookkeeping.ts';
import type { HeldServer, ServerChange } from './draft.ts';
import { emptyPlan, type PlanContext, planBackend, planServers } from './plan.ts';
import type { RunningServers } from './server-state.ts';

/** What plans depend on beside the services. */
export interface PlannerDeps {
  readonly log: Log;
  readonly running: RunningServers;
  readonly capabilities: () => Capabilities;
  /** True when a drained server that was withdrawn has no connections left. */
  readonly isIdle: (desired: DesiredService, name: string) => boolean;
  /** Called when the reasons for a reload differ from before. */
  readonly onChange: () => void;
}

/** Plans services against what runs in one HAProxy, and keeps what the plans could not settle. */
export class Planner {
  readonly #deps: PlannerDeps;
  readonly #issues: OpenIssues;
  readonly #attempts = new Attempts();

  constructor(deps: PlannerDeps) {
    this.#deps = deps;
    this.#issues = new OpenIssues(deps.log, deps.onChange);
  }

  /** Servers that an operator changed, and that stay as they are. */
  get held(): readonly HeldServer[] {
    return this.#issues.held;
  }

  /** Service → why it needs a reload. */
  get reloadReasons(): ReadonlyMap<string, readonly ReloadReason[]> {
    return this.#issues.reloadReasons;
  }

  /** Servers that HAProxy does not change as it should, and that a reload did not change either. */
  get stuck(): readonly StuckServer[] {
    return this.#issues.stuck;
  }

  /** The changes to send that bring these servers of a service to what is wanted. */
  planServers(desired: DesiredService, wanted: Iterable<DesiredServer>): readonly ServerChange[] {
    const spec = desired.active;
    if (spec === undefined) return [];
    const plan = planServers(spec, this.#deps.running.get(spec.backend), wanted, this.#contextOf(desired));
    const { send, reload } = this.#attempts.screen(plan.changes);
    this.#issues.add(desired.service, [...plan.reload, ...reasonsOf(spec.service, reload)]);
    return send;
  }

  /**
   * The changes to send that bring all servers of a service to what is wanted. `isRead`: the servers have just been read, so
   * that the changes which are still needed had no effect so far.
   */
  planService(desired: DesiredService, { isRead = false } = {}): readonly ServerChange[] {
    const spec = desired.active;
    const servers = spec && desiredServers(desired, spec);
    const plan =
      spec === undefined || servers === undefined
        ? emptyPlan
        : planBackend(spec, this.#deps.running.get(spec.backend), servers, this.#contextOf(desired));
    if (isRead && spec !== undefined) this.#attempts.observe(spec.backend, plan.changes);
    const { send, reload, stuck } = this.#attempts.screen(plan.changes);
    const reasons = [...plan.reload, ...reasonsOf(spec?.service ?? desired.service, reload)];
    this.#issues.replace(desired.service, { reload: reasons, held: plan.held, stuck });
    return send;
  }

  /** HAProxy refused a change. `final`: it would refuse the same change again. */
  refused(change: ServerChange, message: string, final: boolean): void {
    this.#attempts.refused(change, message, final);
  }

  /** Another worker has taken over. */
  nextWorker(): void {
    this.#attempts.nextWorker();
  }

  /** Forgets the services that are not in `services`. */
  keepOnly(services: ReadonlyMap<string, DesiredService>): void {
    this.#issues.keepOnly(services);
    this.#attempts.keepOnly(new Set([...services.values()].map(({ active }) => active?.backend ?? '')));
  }

  #contextOf(desired: DesiredService): PlanContext {
    const { capabilities, isIdle } = this.#deps;
    return {
      capabilities: capabilities(),
      idOf: (server) => desired.ids.claim(server.name, server.askedId),
      isLeaving: (name) => (desired.leaving.get(name) ?? 0) > clock.now() && !isIdle(desired, name),
    };
  }
}

function reasonsOf(service: string, servers: readonly StuckServer[]): readonly ReloadReason[] {
  return servers.map(({ backend, name, reason }) => serverReason(reason, { service, server: { backend, name } }));
}
