import type { ProblemKind } from './problem-kinds.ts';
import type { Problem } from './status-shape.ts';

/** A problem before it is known since when it is there. */
export interface FoundProblem extends Omit<Problem, 'since' | 'manual'> {
  readonly kind: ProblemKind;
}

/** The keys under which the beginnings of a problem are remembered: one for each service or socket that it is about. */
export function beginningKeys({ kind, subjects }: Pick<FoundProblem, 'kind' | 'subjects'>): readonly string[] {
  return subjects.length === 0 ? [kind] : subjects.map((subject) => `${kind} ${subject}`);
}
