import { listed } from '../../common/wording.ts';
import type { ProblemKind } from './problem-kinds.ts';
import type { Problem } from './status-shape.ts';
import type { ServiceSummary } from './summary.ts';

/** A problem before it is known since when it is there. */
export interface FoundProblem extends Omit<Problem, 'since' | 'manual'> {
  readonly kind: ProblemKind;
}

/** The keys under which the beginnings of a problem are remembered: one for each service or socket that it is about. */
export function beginningKeys({ kind, subjects }: Pick<FoundProblem, 'kind' | 'subjects'>): readonly string[] {
  return subjects.length === 0 ? [kind] : subjects.map((subject) => `${kind} ${subject}`);
}

/** A service by its name. */
export type NamedSummary = readonly [name: string, summary: ServiceSummary];

/** What a kind of problem says, whatever services have it. */
export interface ServicesProblem extends Pick<FoundProblem, 'kind' | 'title' | 'reason' | 'remedy'> {
  /** Default: warn. */
  readonly level?: FoundProblem['level'];
}

/** The problem of these services; none without services. `synapse explain` of the first one is where to begin. */
export function problemOf(
  names: readonly string[],
  { title, level = 'warn', ...more }: ServicesProblem,
): readonly FoundProblem[] {
  const [first] = names;
  if (first === undefined) return [];
  return [
    { ...more, level, title: `${title}: ${listed(names)}`, command: `synapse explain ${first}`, subjects: names },
  ];
}
