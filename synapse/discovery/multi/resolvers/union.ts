import type { ResolverPlugin } from '../resolver.ts';

/** Options of `resolver: {method: union}`. */
export interface UnionOptions {
  readonly wait: number;
}

/** The resolver `union`. */
export const resolver: ResolverPlugin<UnionOptions> = {
  description: 'Uses the instances of all sources.',
  schema: {
    wait: {
      doc: 'How long the first set waits for sources that have not answered yet.',
      format: 'duration',
      default: 3_000,
    },
  },
  create({ wait }, names) {
    let started: number | undefined;
    return (children, now) => {
      started ??= now;
      const answered = children.filter((child) => child.answered).map(({ name }) => name);
      if (answered.length === names.length) return { use: names, ask: names };
      // An incomplete set is worse than the previous one, but a source that does not answer must not hide the others for ever.
      const at = started + wait;
      if (now < at) return { use: undefined, ask: names, at };
      return { use: answered.length > 0 ? answered : undefined, ask: names };
    };
  },
};
