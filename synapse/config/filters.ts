import { joinPath, type Problem, type Schema, type SectionContext, validate } from '../../common/config/config.ts';
import { isObject } from '../../common/config/formats.ts';
import { anyText, oneOrList } from '../../common/config/json-values.ts';
import { type LabelFilter, labelConditions, wholeValue } from '../catalog/labels.ts';

/** One entry of `label_filters`. */
export const filterSchema: Schema<LabelFilter> = {
  label: { doc: 'The label to look at.', format: 'non-empty-string', default: null },
  value: {
    doc: 'What its value is compared with: a string; for in and not-in a list; for matches a regular expression.',
    format: readValue,
    json: oneOrList(anyText),
    type: 'string or list',
    default: undefined,
  },
  condition: { doc: 'How it is compared.', format: labelConditions, default: null },
};

function readValue(value: unknown): string | readonly string[] {
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  throw new Error('must be a string, or a list of strings (put them in quotes)');
}

/** Why a value does not fit its condition; null when it does. */
function mismatch({ condition, value }: LabelFilter): string | null {
  const isList = Array.isArray(value);
  switch (condition) {
    case 'exists':
      return value === undefined ? null : 'exists takes no value';
    case 'in':
    case 'not-in':
      return isList && value.length > 0 ? null : `is required: ${condition} takes a list of strings`;
    default:
      if (typeof value !== 'string') return `is required: ${condition} takes a string`;
  }
  if (condition !== 'matches') return null;
  try {
    wholeValue(value);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * Reads the filters of a `discovery` section: first SmartStack's single `label_filter`, then `label_filters`. All methods
 * have them.
 */
export function readFilters(discovery: Readonly<Record<string, unknown>>, at: SectionContext): readonly LabelFilter[] {
  const { label_filter: single, label_filters: list } = discovery;
  const filters: LabelFilter[] = [];
  const read = (value: unknown, path: string): void => {
    if (!isObject(value)) {
      at.problems.push({ path, message: 'must be an object with label, value and condition' });
      return;
    }
    const problems: Problem[] = [];
    const filter = validate(filterSchema, value, { path, problems });
    const message = problems.length === 0 ? mismatch(filter) : null;
    at.problems.push(...problems, ...(message === null ? [] : [{ path: joinPath(path, 'value'), message }]));
    filters.push(filter);
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
