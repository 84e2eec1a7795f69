import type { ResolverPlugin } from '../resolver.ts';

/** Options of `resolver: {method: sequential}`. */
export interface SequentialOptions {
  readonly sequential_order?: readonly string[];
  readonly after: number;
}

/** The resolver `sequential`. */
export const resolver: ResolverPlugin<SequentialOptions> = {
  description:
    'Uses the first source that has instances; starts the next one when the sources before it have had none for a while.',
  schema: {
    sequential_order: {
      doc: 'Names of the sources, best first. Default: primary, then the others as they are listed.',
      format: 'strings',
      default: undefined,
    },
    after: {
      doc: 'How long a source may have no instances, or give no answer, before the next one is started; until then the last instances stay.',
      format: 'duration',
      default: 5_000,
    },
  },
  create({ sequential_order: given, after }, names) {
    const order = given ?? names.toSorted((a, b) => Number(b === 'primary') - Number(a === 'primary'));
    checkOrder(order, names);
    return (children, now) => {
      const ask: string[] = [];
      for (const name of order) {
        const child = children.find((other) => other.name === name);
        ask.push(name);
        if (child === undefined) continue;
        if (child.instances > 0) return { use: [name], ask };
        const at = (child.lackingSince ?? now) + after;
        if (now < at) return { use: undefined, ask, at };
      }
      // All sources have had their time and have no instances: the empty set is published once each of them has answered.
      return { use: children.every(({ answered }) => answered) ? order.slice(0, 1) : undefined, ask };
    };
  },
};

function checkOrder(order: readonly string[], names: readonly string[]): void {
  const unknown = order.filter((name) => !names.includes(name));
  const missing = names.filter((name) => !order.includes(name));
  if (order.length === 0) throw new Error('no sequential order defined: sequential_order is empty');
  if (unknown.length > 0) throw new Error(`sequential_order has unknown watcher: ${unknown.join(', ')}`);
  if (missing.length > 0) throw new Error(`sequential_order does not contain: ${missing.join(', ')}`);
  if (new Set(order).size < order.length) throw new Error('sequential_order names a watcher twice');
}
