import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

type Answer = (error: NodeJS.ErrnoException | null, found: string | LookupAddress[], family?: number) => void;
type LookUp = (name: string, options: LookupOptions, answer: Answer) => void;

/**
 * The system's lookup for `node:net`, one at a time for each name: calls during a lookup get its answer. A lookup cannot be
 * cancelled, and Node.js does only four at once. Without sharing, probes with short deadlines against a resolver that hangs
 * would queue up by the thousand and block the lookups of all other names.
 */
export const sharedLookup: LookupFunction = shareLookups(lookup as LookUp);

/** Shares the answers of any lookup function; see {@link sharedLookup}. */
export function shareLookups(lookUp: LookUp): LookupFunction {
  const waiting = new Map<string, Answer[]>();
  return (name, options, answer) => {
    const { family, hints, all, order, verbatim } = options as LookupOptions & { readonly order?: string };
    const key = JSON.stringify([name, family, hints, all, order, verbatim]);
    const others = waiting.get(key);
    if (others !== undefined) {
      others.push(answer);
      return;
    }
    const answers = [answer];
    waiting.set(key, answers);
    lookUp(name, options, (...result) => {
      waiting.delete(key);
      for (const each of answers) each(...result);
    });
  };
}
