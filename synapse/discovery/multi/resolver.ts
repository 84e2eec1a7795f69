import type { Schema } from '../../../common/config/schema.ts';
import type { UserSourceContext } from '../../user-source.ts';

/** One of a service's sources, as a resolver sees it. */
export interface ChildView {
  readonly name: string;
  /** It has published since it was started. */
  readonly answered: boolean;
  /** How many of its instances can take traffic. */
  readonly instances: number;
  /** Since when it runs without such an instance, milliseconds of `clock.now()`; null: it has some, or does not run. */
  readonly lackingSince: number | null;
}

/** Which sources count now, and which have to run. */
export interface Decision {
  /** The sources whose instances count, in this order. Undefined: the sources in use stay in use. */
  readonly use: readonly string[] | undefined;
  /** The sources that have to run. A source that is not named is stopped, and its instances are forgotten. */
  readonly ask: readonly string[];
  /** When to decide again even if no source publishes, milliseconds of `clock.now()`. */
  readonly at?: number;
}

/** Decides which sources count; is called again whenever one of them publishes. Does no I/O itself. */
export type Resolver = ((children: readonly ChildView[], now: number) => Decision) & {
  /** Follows something outside that the decision depends on, until `signal` aborts; `again` asks for another decision. */
  readonly follow?: (
    again: () => void,
    context: Pick<UserSourceContext, 'log' | 'shared'>,
    signal: AbortSignal,
  ) => void;
};

/**
 * A way to decide: one file in `synapse/discovery/multi/resolvers/`, named after it, or a user's file, that exports it as
 * `resolver`. It does not change within a major version.
 */
export interface ResolverPlugin<Options> {
  /** One sentence for `synapse describe`. */
  readonly description: string;
  readonly schema: Schema<Options>;
  /** `names` are the names of the sources, in the order of the configuration. @throws when the options do not fit them */
  create(options: Options, names: readonly string[]): Resolver;
}
