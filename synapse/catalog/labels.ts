import type { Instance } from '../../common/instance.ts';

/** How a filter compares a label's value. */
export const labelConditions = ['equals', 'not-equals', 'in', 'not-in', 'exists', 'matches'] as const;

/** One entry of `discovery.label_filters`. */
export interface LabelFilter {
  readonly label: string;
  readonly condition: (typeof labelConditions)[number];
  /** A list for `in` and `not-in`, nothing for `exists`, a regular expression for `matches`. */
  readonly value?: string | readonly string[];
}

/** True when an instance passes every filter. An instance without the label differs from any value. */
export function passesFilters(instance: Instance, filters: readonly LabelFilter[]): boolean {
  return filters.every((filter) => passes(labelOf(instance, filter.label), filter));
}

function passes(label: string | undefined, { condition, value }: LabelFilter): boolean {
  switch (condition) {
    case 'equals':
      return label === value;
    case 'not-equals':
      return label !== value;
    case 'in':
      return label !== undefined && listOf(value).includes(label);
    case 'not-in':
      return label === undefined || !listOf(value).includes(label);
    case 'exists':
      return label !== undefined;
    case 'matches':
      return label !== undefined && typeof value === 'string' && wholeValue(value).test(label);
  }
}

/** The value of a label; undefined when the instance does not have it. */
export function labelOf({ labels }: Instance, label: string): string | undefined {
  return labels !== undefined && Object.hasOwn(labels, label) ? labels[label] : undefined;
}

const expressions = new Map<string, RegExp>();

/** The expression that matches a whole value; compiled once. @throws {SyntaxError} */
export function wholeValue(expression: string): RegExp {
  let made = expressions.get(expression);
  if (made === undefined) {
    made = new RegExp(`^(?:${expression})$`, 'u');
    expressions.set(expression, made);
  }
  return made;
}

function listOf(value: LabelFilter['value']): readonly string[] {
  return value === undefined ? [] : typeof value === 'string' ? [value] : value;
}
