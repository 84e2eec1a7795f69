import type { Shape } from '../../common/cli/json-shape.ts';
import { isObject } from '../../common/config/formats.ts';

/** The places where a value differs from its shape; empty when it fits. */
export function mismatches(shape: Shape, value: unknown, path = ''): readonly string[] {
  const here = path === '' ? 'the document' : path;
  if (shape === 'any') return [];
  if (typeof shape === 'string') {
    const type = shape === 'text' ? 'string' : shape;
    return typeof value === type ? [] : [`${here}: ${JSON.stringify(value)} is not ${shape}`];
  }
  if ('oneOf' in shape) {
    const known = typeof value === 'string' && shape.oneOf.includes(value);
    return known ? [] : [`${here}: ${JSON.stringify(value)} is not one of ${shape.oneOf.join(', ')}`];
  }
  if ('orNull' in shape) return value === null ? [] : mismatches(shape.orNull, value, path);
  if ('list' in shape) {
    if (!Array.isArray(value)) return [`${here}: not a list`];
    return value.flatMap((item, index) => mismatches(shape.list, item, `${path}[${index}]`));
  }
  if (!isObject(value)) return [`${here}: not an object`];
  const at = (key: string): string => (path === '' ? key : `${path}.${key}`);
  if ('by' in shape) return Object.entries(value).flatMap(([key, item]) => mismatches(shape.of, item, at(key)));
  const { fields } = shape;
  const unknown = Object.keys(value).filter((key) => !Object.hasOwn(fields, key));
  return [
    ...unknown.map((key) => `${at(key)}: is not documented`),
    ...Object.entries(fields).flatMap(([key, known]) => {
      if (Object.hasOwn(value, key)) return mismatches(known.shape, value[key], at(key));
      return known.optional ? [] : [`${at(key)}: is missing`];
    }),
  ];
}
