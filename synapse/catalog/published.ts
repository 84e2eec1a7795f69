import type { Published } from '../../common/published.ts';
import type { ServiceOutputConfig } from '../output.ts';

/** A service's section with a published configuration on top; or why that is refused. */
export type PublishedResult = { readonly config: ServiceOutputConfig } | { readonly refused: string };

/** A service's section, and how a published configuration goes on top of it. */
export interface PublishableConfig {
  readonly config: ServiceOutputConfig;
  readonly withPublished?: (published: unknown) => PublishedResult;
}

/** The configuration in force, and where it comes from. */
export interface EffectiveConfig {
  readonly config: ServiceOutputConfig;
  /** The published configuration that is in it; undefined when the local one stands alone. */
  readonly published: Published | undefined;
  /** Why the newest published configuration is refused; null when it is not, or when there is none. */
  readonly refused: string | null;
}

/**
 * Puts the newest published configuration on top of the local one. When it is refused, the previous published one stays
 * in force, or else the local one alone.
 */
export function effectiveConfig(
  service: PublishableConfig,
  newest: Published | undefined,
  previous: Published | undefined,
): EffectiveConfig {
  if (newest === undefined) return { config: service.config, published: undefined, refused: null };
  const result = merge(service, newest);
  if ('config' in result) return { config: result.config, published: newest, refused: null };
  const { refused } = result;
  const older = previous === undefined ? undefined : merge(service, previous);
  if (older !== undefined && 'config' in older) return { config: older.config, published: previous, refused };
  return { config: service.config, published: undefined, refused };
}

/** Results by service and published configuration: a merge is worked out once, and its result stays the same object. */
const results = new WeakMap<PublishableConfig, WeakMap<Published, PublishedResult>>();

function merge(service: PublishableConfig, published: Published): PublishedResult {
  let known = results.get(service);
  if (known === undefined) {
    known = new WeakMap();
    results.set(service, known);
  }
  let result = known.get(published);
  if (result === undefined) {
    result =
      published.broken === undefined
        ? (service.withPublished?.(published.value) ?? { config: service.config })
        : { refused: published.broken };
    known.set(published, result);
  }
  return result;
}
