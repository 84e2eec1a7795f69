import type { EventKind } from './event-shape.ts';
import type { Problem } from './status-shape.ts';

/** A problem, and the kinds of event that tell since when. */
export interface FoundProblem extends Problem {
  readonly kinds: readonly EventKind[];
}
