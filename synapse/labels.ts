import type { Instance } from '../common/instance.ts';

/** What a filter asks of a label's value. */
export const labelConditions = ['equals', 'not-equals'] as const;

/** One entry of `discovery.label_filters`. */
export interface LabelFilter {
  readonly label: string;
  readonly value: string;
  readonly condition: (typeof labelConditions)[number];
}

/** True when an instance passes every filter. An instance without the label differs from any value. */
export function passesFilters(instance: Instance, filters: readonly LabelFilter[]): boolean {
  return filters.every(({ label, value, condition }) => {
    const equal = labelOf(instance, label) === value;
    return condition === 'equals' ? equal : !equal;
  });
}

function labelOf({ labels }: Instance, label: string): string | undefined {
  return labels !== undefined && Object.hasOwn(labels, label) ? labels[label] : undefined;
}
