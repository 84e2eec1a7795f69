import { type AdminTarget, followControl, UnknownRoute } from '../../common/admin/client.ts';
import { asking, membersText, noProxy, type Outcome } from '../../common/fleet/progress.ts';
import { counted, formatLatency } from '../../common/wording.ts';
import type { WaitLine } from '../control.ts';
import type { FleetWaitOptions, InstanceProgress } from '../fleet-wait.ts';

/** Which instances the running nerve waits for, and for what. */
interface ProxyWait extends FleetWaitOptions {
  readonly service: string;
  readonly instance: string | undefined;
}

/** How a wait for the proxies ended. */
export interface ProxyWaitResult {
  readonly instances: readonly InstanceProgress[];
  /**
   * - `proven`: every proxy that takes part has acknowledged
   * - `missing`: proxies have not, or left
   * - `unknown`: there is no proof, because no proxy takes part, etcd allows no questions, or nerve asks none
   * - `changed`: the opposite was asked for meanwhile
   */
  readonly verdict: 'proven' | 'missing' | 'unknown' | 'changed';
  /** Why it is not proven; null when it is. */
  readonly reason: string | null;
}

/**
 * Asks the running nerve to wait for all proxies, and says how far they are meanwhile.
 * @throws when nerve refuses, or ends meanwhile
 */
export async function waitForProxies(
  admin: AdminTarget,
  { service, instance, expect, timeoutMs }: ProxyWait,
  progress: (text: string) => void,
): Promise<ProxyWaitResult> {
  const body = { service, instance, expect, timeout_ms: timeoutMs };
  let instances: readonly InstanceProgress[] = [];
  try {
    for await (const line of followControl(admin, '/api/v1/wait', body, { program: 'nerve' })) {
      const { instances: found, ended, error } = line as WaitLine & { readonly error?: string };
      if (error !== undefined) throw new Error(error);
      instances = found;
      if (ended) return resultOf(instances);
      const text = progressLine(instances);
      if (text !== null) progress(text);
    }
  } catch (error) {
    if (!(error instanceof UnknownRoute)) throw error;
    return { instances, verdict: 'unknown', reason: 'the running nerve is of an earlier version: restart it' };
  }
  throw new Error('nerve ended while this command waited');
}

/**
 * `12 of 14 proxies; 3 connections left: host-b 2, host-c 1`; of several instances, the first that is not done. Null when there is
 * nothing to say: all are done, or the question takes its milliseconds.
 */
function progressLine(instances: readonly InstanceProgress[]): string | null {
  const open = instances.filter(({ progress }) => progress.outcome !== 'done');
  const text = open[0]?.progress.reason ?? asking;
  const [first] = open;
  if (first === undefined || text === asking) return null;
  if (instances.length === 1) return text;
  return `${instances.length - open.length} of ${counted(instances.length, 'instance')}; ${first.instance}: ${text}`;
}

/** The outcomes of each verdict. Of several instances, the first verdict in this list that one of them has counts. */
const verdicts = [
  ['changed', ['changed']],
  ['missing', ['timeout', 'left', 'waiting']],
  ['unknown', ['nobody', 'denied', 'off']],
] as const satisfies readonly (readonly [ProxyWaitResult['verdict'], readonly Outcome[]])[];

function resultOf(instances: readonly InstanceProgress[]): ProxyWaitResult {
  for (const [verdict, outcomes] of verdicts) {
    const found = instances.find(({ progress }) => outcomes.some((outcome) => outcome === progress.outcome));
    if (found === undefined) continue;
    const { outcome, reason } = found.progress;
    return { instances, verdict, reason: outcome === 'nobody' ? noProxy : reason };
  }
  return { instances, verdict: 'proven', reason: null };
}

/** One line for each instance whose proxies have all acknowledged: who took part, and how long it took. */
export function provenLines({ instances }: ProxyWaitResult, what: string): string {
  return instances
    .filter(({ progress }) => progress.outcome === 'done')
    .map(({ service, instance, progress }) => {
      const after = `in ${counted(progress.proxies, 'proxy', 'proxies')} after ${formatLatency(progress.milliseconds)}`;
      return `${service}: ${instance} ${what} ${after}: ${membersText(progress)}\n`;
    })
    .join('');
}
