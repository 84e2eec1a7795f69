import type { ReadDirectly } from '../direct.ts';
import type { Problem } from './problems.ts';
import type { SynapseState } from './state.ts';

/** The answer of `/api/v1/state`. */
export interface StateReport extends SynapseState {
  readonly version: string;
  /** Why it is not ready; null when it is. */
  readonly reason: string | null;
}

/** What HAProxy says of a server, as far as it is shown. */
export interface SeenServer {
  readonly name: string;
  readonly status: string;
  readonly weight: number;
  readonly address: string;
  /** The last check, such as `L4OK`; empty without checks. */
  readonly check: string;
  /** What that check said. */
  readonly detail: string;
  /** Seconds since its status changed. */
  readonly since: number;
}

/** Whether the daemon answers, and if not, why. */
export interface DaemonState {
  readonly running: boolean;
  readonly reason: string | null;
}

/** What `synapse status` shows. */
export interface StatusReport extends StateReport {
  readonly daemon: DaemonState;
  /** What is wrong, the worst first. */
  readonly problems: readonly Problem[];
  /** Without a daemon: where all of this was read. */
  readonly read?: readonly ReadDirectly[];
  /** HAProxy's own servers, by service; null when it cannot be asked. */
  readonly servers: Readonly<Record<string, readonly SeenServer[]>> | null;
}
