import type { Schema } from '../../../common/config/config.ts';
import type { PluginFolder } from '../../../common/plugin.ts';
import type { SourceContext } from '../../source.ts';

/** One of a service's sources, as a resolver sees it. */
export interface ChildView {
  readonly name: string;
  /** It has published since it was asked. */
  readonly answered: boolean;
  /** How many instances it has that can take traffic. */
  readonly instances: number;
  /** Since when it has been asked and has had none, milliseconds of `clock.now()`; null: it has some, or is not asked. */
  readonly lackingSince: number | null;
}

/** What counts now. */
export interface Decision {
  /** Whose instances count, in this order. Undefined: what is in force stays as it is. */
  readonly use: readonly string[] | undefined;
  /** Which sources are to run; one that is not named is stopped and forgotten. */
  readonly ask: readonly string[];
  /** When to decide again even if nothing happens, milliseconds of `clock.now()`. */
  readonly at?: number;
}

/** Decides which sources count; asked again whenever one of them publishes. Does no I/O by itself. */
export type Resolver = ((children: readonly ChildView[], now: number) => Decision) & {
  /** Follows something outside on which the decision depends, until `signal` aborts; `again` has it made anew. */
  readonly follow?: (again: () => void, context: Pick<SourceContext, 'log' | 'shared'>, signal: AbortSignal) => void;
};

/** A way to decide: one file in `synapse/resolvers/`, named after it, that exports it as `resolver`. */
export interface ResolverPlugin<Options> {
  /** One sentence for people. */
  readonly description: string;
  readonly schema: Schema<Options>;
  /** `names` are those of the sources, in the order of the configuration. @throws when the options do not fit them */
  create(options: Options, names: readonly string[]): Resolver;
}

export const resolverFolder: PluginFolder = {
  kind: 'resolver',
  url: new URL('./resolvers/', import.meta.url),
  symbol: 'resolver',
  aliases: { fallback: 'sequential' },
};
