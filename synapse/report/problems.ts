import { pageFile } from './page-routes.ts';
import type { SynapseState } from './state.ts';
import { summaryOf } from './summary.ts';

/** Something that is wrong, in the words of the live page. */
export interface Problem {
  readonly level: 'bad' | 'warn';
  readonly title: string;
  readonly reason?: string;
  /** What to do about it. */
  readonly remedy: string;
}

interface Verdicts {
  readonly problemsOf: (summary: unknown) => readonly (Problem & { readonly kinds: readonly string[] })[];
}

/** What is wrong, the worst first; the page's own code says so, that both agree. `ready`: why synapse is not, or null. */
export async function problemsOf(state: SynapseState, ready: string | null): Promise<readonly Problem[]> {
  const { problemsOf: find } = (await import(pageFile('verdict.js').href)) as Verdicts;
  return find({ ...summaryOf(state), reason: ready }).map(({ kinds: _, ...problem }) => problem);
}
