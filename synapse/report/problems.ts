import { counted, listed } from '../../common/wording.ts';
import { usableOf } from '../haproxy/statistics/health-shape.ts';
import { beginningKeys, type FoundProblem } from './found-problem.ts';
import { haproxyProblems } from './haproxy-problems.ts';
import { anchorOf, kindOrder } from './problem-kinds.ts';
import { serviceProblems } from './service-problems.ts';
import type { Problem } from './status-shape.ts';
import type { ServiceSummary, Summary } from './summary.ts';

/**
 * What is wrong, the worst first; empty when all is well. `ready` is the reason why synapse is not ready, or null.
 * Pure: `synapse status` and the live page both run it, so that they agree.
 */
export function findProblems(summary: Summary, ready: string | null): readonly Problem[] {
  const found = [
    ...serviceProblems(Object.entries(summary.services)),
    ...(summary.haproxy === null ? [] : haproxyProblems(summary.haproxy)),
    ...ownProblems(summary),
  ];
  if (found.length === 0 && ready !== null) {
    found.push({
      kind: 'not_ready',
      level: 'warn',
      title: 'synapse is not ready yet',
      reason: ready,
      remedy: 'After a start or a change this passes by itself within seconds.',
      command: 'synapse status --wait 10',
      subjects: [],
    });
  }
  return found
    .map((problem) => ({
      ...problem,
      since: beginningOf(problem, summary.since),
      manual: `synapse/problems.md#${anchorOf(problem.kind)}`,
    }))
    .sort(compareProblems);
}

function compareProblems(a: Problem, b: Problem): number {
  return Number(b.level === 'bad') - Number(a.level === 'bad') || kindOrder.indexOf(a.kind) - kindOrder.indexOf(b.kind);
}

/** When the oldest part of a problem began; null when that is not known. */
function beginningOf(problem: FoundProblem, since: Summary['since'] = {}): string | null {
  const times = beginningKeys(problem).map((key) => (Object.hasOwn(since, key) ? since[key] : undefined));
  return times.filter((time) => time !== undefined).sort()[0] ?? null;
}

const levels = new WeakMap<ServiceSummary, { readonly level: Problem['level'] | null }>();

/** How grave the worst problem of one service is; null when it has none. */
export function troubleOf(service: ServiceSummary): Problem['level'] | null {
  const known = levels.get(service);
  if (known !== undefined) return known.level;
  const found = serviceProblems([['', service]]);
  const level = found.some((problem) => problem.level === 'bad') ? 'bad' : found.length > 0 ? 'warn' : null;
  levels.set(service, { level });
  return level;
}

/**
 * Whether anything says that the servers of a service answer: HAProxy checks all that take traffic, or has had requests
 * answered in the last minute.
 */
export function isProven({ haproxy }: ServiceSummary): boolean {
  if (haproxy === undefined || usableOf(haproxy.servers) === 0) return false;
  const { requests = 0, failed = 0 } = haproxy.traffic ?? {};
  return haproxy.servers.unchecked === 0 || (requests > 0 && failed === 0);
}

/** What to say when no problem was found: that all is well, or which services are not known to answer. */
export function calmText({ services }: Summary): { readonly isProven: boolean; readonly text: string } {
  const unproven = Object.entries(services).filter(([, service]) => !isProven(service));
  if (unproven.length === 0) return { isProven: true, text: 'all is well' };
  const names = listed(unproven.map(([name]) => name));
  const which = unproven.length <= 3 ? names : `${counted(unproven.length, 'service')}: ${names}`;
  return {
    isProven: false,
    text: `no problem is known, but nothing shows that servers of ${which} answer: no check of HAProxy, no request`,
  };
}

function ownProblems(summary: Summary): readonly FoundProblem[] {
  const { config_refused: refused, state_file: state, file_output: files, fleet } = summary;
  return [
    ...(refused === undefined
      ? []
      : [
          {
            kind: 'configuration_invalid' as const,
            level: 'bad' as const,
            title: 'The configuration file is invalid: a restart of synapse would fail',
            reason: refused,
            remedy:
              'The previous configuration stays in force. Correct the file, test it with synapse check, and reload synapse.',
            command: 'synapse check && systemctl reload synapse',
            subjects: [],
          },
        ]),
    ...(state?.reason
      ? [
          {
            kind: 'state_file_unwritten' as const,
            level: 'warn' as const,
            title: 'The state file cannot be written',
            reason: state.reason,
            remedy:
              'A restart while etcd is away would begin with older instances. Is the disk full, or the folder read-only?',
            command: `df -h ${folderOf(state.path)}; ls -ld ${folderOf(state.path)}`,
            subjects: [],
          },
        ]
      : []),
    ...(files?.reason
      ? [
          {
            kind: 'files_unwritten' as const,
            level: 'warn' as const,
            title: 'The files of file_output cannot be written',
            reason: files.reason,
            remedy: 'Programs that read them see old instances. Is the disk full, or the folder read-only?',
            command: `df -h ${files.directory}; ls -ld ${files.directory}`,
            subjects: [],
          },
        ]
      : []),
    ...(fleet?.shared
      ? [
          {
            kind: 'fleet_id_shared' as const,
            level: 'warn' as const,
            title: `Another synapse has the id ${fleet.id} in the fleet too`,
            remedy: 'Commands that wait for all proxies can rely on neither. Give each synapse another fleet.id.',
            command: `etcdctl get --prefix ${fleet.path}`,
            subjects: [],
          },
        ]
      : []),
  ];
}

function folderOf(path: string): string {
  return path.replace(/\/[^/]*$/, '') || '/';
}
