import { type Field, type Fields, field, optional } from '../../common/cli/json-shape.ts';
import type { Instance } from '../../common/instance.ts';
import type { ReadDirectly } from '../commands/offline-status.ts';
import type { Problem } from './problems.ts';
import { outputShape, report, type SynapseState, server } from './state.ts';

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

/** In which way HAProxy and we differ, by the id of the instance; those that agree are not there. */
export function differences(
  instances: readonly Instance[],
  servers: readonly Pick<SeenServer, 'name' | 'status'>[],
): Readonly<Record<string, string>> {
  const byName = new Map(servers.map((server) => [server.name, server.status]));
  const found: [string, string][] = [];
  for (const { id, state } of instances) {
    const status = byName.get(id);
    byName.delete(id);
    const difference = status === undefined ? 'not in HAProxy' : differs(state, status);
    if (difference !== null) found.push([id, difference]);
  }
  // What is left is not ours any more; in maintenance it is out of service, as it should be.
  for (const [name, status] of byName) {
    if (!/^(MAINT|DRAIN)/.test(status)) found.push([name, 'in HAProxy, and not among the instances']);
  }
  return Object.fromEntries(found);
}

function differs(state: Instance['state'], status: string): string | null {
  if (/^MAINT/.test(status)) return 'in maintenance in HAProxy';
  if (/^DOWN|^NOLB/.test(status)) return "HAProxy's own check fails";
  if (/^DRAIN/.test(status) && state === 'up') return 'drained in HAProxy';
  if (/^UP|^no check/.test(status) && state === 'drain') return 'takes traffic in HAProxy';
  return null;
}

/** Whether the daemon answered. */
export const daemon: Field = field(
  {
    fields: {
      running: field('boolean', 'it answered'),
      reason: field({ orNull: 'text' }, 'why it did not; null when it did'),
    },
  },
  'whether synapse answered; if not, all the rest was read directly',
);

const problem: Fields = {
  fields: {
    level: field('text', 'bad: traffic suffers, or will; warn: it should be looked at'),
    title: field('text', 'what is wrong'),
    reason: optional('text', 'why'),
    remedy: field('text', 'what to do'),
  },
};

const read: Fields = {
  fields: {
    what: field('text', 'what was read'),
    found: field({ orNull: 'text' }, 'what it said'),
    reason: field({ orNull: 'text' }, 'why it said nothing'),
  },
};

/** `synapse status --json`. */
export const statusShape: Fields = {
  fields: {
    version: field('text', 'of synapse'),
    reason: field({ orNull: 'text' }, 'why it is not ready; null when it is'),
    daemon,
    problems: field({ list: problem }, 'the worst first; empty when all is well'),
    read: optional({ list: read }, 'without a running synapse: where all of this was read'),
    services: field({ by: 'SERVICE', of: report }, 'every service, in the order of the configuration'),
    haproxy: field({ orNull: outputShape }, "how HAProxy's output is doing; null before the first"),
    file_output: optional(
      {
        fields: {
          directory: field('text', 'where the files are'),
          reason: field({ orNull: 'text' }, 'why they may be out of date'),
        },
      },
      'files for other readers',
    ),
    servers: field(
      { orNull: { by: 'SERVICE', of: { list: server } } },
      "HAProxy's own servers; null when it cannot be asked",
    ),
  },
};
