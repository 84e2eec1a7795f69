import { clock } from '../../common/async/clock.ts';
import { silentLog } from '../../common/daemon/log.ts';
import { counted, formatAge, listed } from '../../common/wording.ts';
import type { StateFileContent } from '../catalog/state-file.ts';
import { type Collected, collect } from '../collect-once.ts';
import type { SynapseConfig } from '../config/config.ts';
import type { ServiceReport } from '../report/service-shape.ts';
import type { ReadDirectly, SynapseState } from '../report/status-shape.ts';

/** Everything that can be read without a running synapse. */
export interface Direct extends Collected {
  readonly read: readonly ReadDirectly[];
}

/** Reads the sources and the state file as a starting synapse would. Writes nothing; waits at most `waitMs` milliseconds. */
export async function readDirectly(config: SynapseConfig, waitMs: number): Promise<Direct> {
  const collected = await collect(config, { waitMs, log: silentLog });
  const read = [...sourcesRead(collected), ...stateFileRead(config.stateFile?.path, collected.stateFile)];
  return { ...collected, state: withoutTimes(collected.state), read };
}

/** The state without times of changes: a command that reads once does not know them. */
function withoutTimes(state: SynapseState): SynapseState {
  const services: Record<string, ServiceReport> = Object.create(null);
  for (const [name, { answered_at: _, ...report }] of Object.entries(state.services)) {
    services[name] = { ...report, changed_at: null };
  }
  return { ...state, services };
}

/** One line for each reason: an outage is one line, however many services it has. */
function sourcesRead({ state, unanswered }: Collected): readonly ReadDirectly[] {
  const all = Object.keys(state.services).length;
  const reasons = new Map<string, string[]>();
  for (const name of unanswered) {
    const reason = state.services[name]?.reason ?? 'no answer in time';
    reasons.set(reason, [...(reasons.get(reason) ?? []), name]);
  }
  const found = `answered for ${all - unanswered.length} of ${counted(all, 'service')}`;
  return [
    { what: 'sources', found, reason: null },
    ...[...reasons].map(([reason, names]) => ({ what: `source of ${listed(names)}`, found: null, reason })),
  ];
}

function stateFileRead(path: string | undefined, content: StateFileContent | undefined): readonly ReadDirectly[] {
  if (path === undefined || content === undefined) return [];
  const what = `state file ${path}`;
  const reason = content.missing ? 'no such file' : (content.unreadable ?? content.damaged);
  if (reason !== undefined) return [{ what, found: null, reason }];
  const newest = Math.max(...[...content.services.values()].map(({ at }) => at));
  const age = content.services.size === 0 ? '' : `, confirmed ${formatAge(clock.wallTime() - newest)} ago`;
  return [{ what, found: `${counted(content.services.size, 'service')}${age}`, reason: null }];
}
