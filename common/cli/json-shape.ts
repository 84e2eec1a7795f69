import { isObject } from '../config/formats.ts';

/** What a command's JSON looks like: for the page that documents it, and for the test that holds it to that. */
export type Shape =
  | 'text'
  | 'number'
  | 'boolean'
  /** Whatever it is: not promised to stay. */
  | 'any'
  | { readonly list: Shape }
  /** An object of equal things by name. */
  | { readonly by: string; readonly of: Shape }
  | { readonly orNull: Shape }
  | Fields;

/** An object whose keys are known. */
export interface Fields {
  readonly fields: Readonly<Record<string, Field>>;
}

/** One key: what it holds and what that means. */
export interface Field {
  readonly shape: Shape;
  readonly doc: string;
  /** Left out where it does not apply. */
  readonly optional?: boolean;
}

/** A key that is always there. */
export function field(shape: Shape, doc: string): Field {
  return { shape, doc };
}

/** A key that is left out where it does not apply. */
export function optional(shape: Shape, doc: string): Field {
  return { shape, doc, optional: true };
}

/** Where a value is not as its shape says; empty when it is. */
export function misfits(shape: Shape, value: unknown, path = ''): readonly string[] {
  const here = path === '' ? 'the whole' : path;
  if (shape === 'any') return [];
  if (typeof shape === 'string') {
    const type = shape === 'text' ? 'string' : shape;
    return typeof value === type ? [] : [`${here}: ${JSON.stringify(value)} is not ${shape}`];
  }
  if ('orNull' in shape) return value === null ? [] : misfits(shape.orNull, value, path);
  if ('list' in shape) {
    if (!Array.isArray(value)) return [`${here}: not a list`];
    return value.flatMap((item, index) => misfits(shape.list, item, `${path}[${index}]`));
  }
  if (!isObject(value)) return [`${here}: not an object`];
  const at = (key: string): string => (path === '' ? key : `${path}.${key}`);
  if ('by' in shape) return Object.entries(value).flatMap(([key, item]) => misfits(shape.of, item, at(key)));
  const { fields } = shape;
  const unknown = Object.keys(value).filter((key) => !Object.hasOwn(fields, key));
  return [
    ...unknown.map((key) => `${at(key)}: is not documented`),
    ...Object.entries(fields).flatMap(([key, known]) => {
      if (Object.hasOwn(value, key)) return misfits(known.shape, value[key], at(key));
      return known.optional ? [] : [`${at(key)}: is missing`];
    }),
  ];
}

/** One line of the documentation of a shape. */
export interface ShapeRow {
  /** `services.NAME.instances[].id` */
  readonly path: string;
  readonly type: string;
  readonly doc: string;
}

/** All keys of a shape, each with what it holds. */
export function shapeRows(shape: Shape, path = ''): readonly ShapeRow[] {
  if (typeof shape === 'string') return [];
  if ('orNull' in shape) return shapeRows(shape.orNull, path);
  if ('list' in shape) return shapeRows(shape.list, `${path}[]`);
  if ('by' in shape) return shapeRows(shape.of, path === '' ? shape.by : `${path}.${shape.by}`);
  return Object.entries(shape.fields).flatMap(([key, { shape: inner, doc, optional: maybe }]) => {
    const own = path === '' ? key : `${path}.${key}`;
    const type = `${typeOf(inner)}${maybe ? ', optional' : ''}`;
    return [{ path: own, type, doc }, ...shapeRows(inner, own)];
  });
}

function typeOf(shape: Shape): string {
  if (typeof shape === 'string') return shape;
  if ('orNull' in shape) return `${typeOf(shape.orNull)} or null`;
  if ('list' in shape) return `list of ${plural(typeOf(shape.list))}`;
  if ('by' in shape) return `object by ${shape.by}`;
  return 'object';
}

function plural(type: string): string {
  return type === 'text' ? 'texts' : /^[a-z]+$/.test(type) ? `${type}s` : type;
}
