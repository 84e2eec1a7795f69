import { joinPath, type Problem, type Schema, validate } from '../common/config.ts';
import { isObject } from '../common/formats.ts';
import { type LabelFilter, labelConditions } from './labels.ts';

/** One entry of `label_filters`. */
export const filterSchema: Schema<LabelFilter> = {
  label: { doc: 'The label to look at.', format: 'non-empty-string', default: null },
  value: { doc: 'What its value is compared with.', format: 'string', default: null },
  condition: { doc: 'How it is compared.', format: labelConditions, default: null },
};

/**
 * Reads the filters of a `discovery` section: the older single `label_filter` first, then `label_filters`. They are
 * common to all methods.
 */
export function readFilters(
  discovery: Readonly<Record<string, unknown>>,
  at: { readonly path: string; readonly problems: Problem[] },
): readonly LabelFilter[] {
  const { label_filter: single, label_filters: list } = discovery;
  const filters: LabelFilter[] = [];
  const read = (value: unknown, path: string): void => {
    if (!isObject(value)) {
      at.problems.push({ path, message: 'must be an object with label, value and condition' });
      return;
    }
    filters.push(validate(filterSchema, value, { path, problems: at.problems }));
  };
  if (single !== undefined && single !== null) read(single, joinPath(at.path, 'label_filter'));
  const path = joinPath(at.path, 'label_filters');
  if (Array.isArray(list)) {
    for (const [index, value] of list.entries()) read(value, joinPath(path, index));
  } else if (list !== undefined && list !== null) {
    at.problems.push({ path, message: 'must be a list of objects with label, value and condition' });
  }
  return filters;
}
