import { clock } from '../../../common/async/clock.ts';
import type { Log } from '../../../common/daemon/log.ts';
import type { Capabilities } from '../spec/capabilities.ts';
import { type DesiredServer, type DesiredService, desiredServers } from '../spec/desired-service.ts';
import type { ReloadReason } from '../spec/reload-reason.ts';
import { OpenIssues } from './bookkeeping.ts';
import { emptyPlan, type HeldServer, type PlanContext, planBackend, planServers, type ServerChange } from './plan.ts';
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

  /** The changes that bring these servers of a service to what is wanted. */
  planServers(desired: DesiredService, wanted: Iterable<DesiredServer>): readonly ServerChange[] {
    const spec = desired.active;
    if (spec === undefined) return [];
    const plan = planServers(spec, this.#deps.running.get(spec.backend), wanted, this.#contextOf(desired));
    this.#issues.add(desired.service, plan.reload);
    return plan.changes;
  }

  /** The changes that bring all servers of a service to what is wanted. */
  planService(desired: DesiredService): readonly ServerChange[] {
    const spec = desired.active;
    const servers = spec && desiredServers(desired, spec);
    const plan =
      spec === undefined || servers === undefined
        ? emptyPlan
        : planBackend(spec, this.#deps.running.get(spec.backend), servers, this.#contextOf(desired));
    this.#issues.replace(desired.service, plan);
    return plan.changes;
  }

  /** Adds reasons for a reload that did not come from a plan. */
  needsReload({ service }: DesiredService, reasons: readonly ReloadReason[]): void {
    this.#issues.add(service, reasons);
  }

  /** Forgets the services that are not in `services`. */
  keepOnly(services: { has(service: string): boolean }): void {
    this.#issues.keepOnly(services);
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
