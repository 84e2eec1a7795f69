/**
 * What a JSON document looks like. The manual page, the test that holds a command to it and the TypeScript type
 * (`Shaped`) come from the same shape, so that a document is described once.
 */
export type Shape =
  | 'text'
  | 'number'
  | 'boolean'
  /** Any JSON value; its form is not promised. */
  | 'any'
  /** One of these texts. */
  | { readonly oneOf: readonly string[] }
  | { readonly list: Shape }
  /** An object of values of one shape; `by` says in the manual what its keys are. */
  | { readonly by: string; readonly of: Shape }
  | { readonly orNull: Shape }
  | Fields;

/** An object with a fixed set of keys. */
export interface Fields {
  readonly fields: Readonly<Record<string, Field>>;
}

/** One key: the shape of its value, and what that means. */
export interface Field<S extends Shape = Shape, Optional extends boolean = boolean> {
  readonly shape: S;
  readonly doc: string;
  /** The key is left out where it does not apply. */
  readonly optional: Optional;
}

/**
 * The TypeScript type of a document with this shape: `type PlanReport = Shaped<typeof planShape>`. The shape is a
 * constant whose literals TypeScript keeps: `const planShape = {…} satisfies Fields`, not `const planShape: Fields`.
 */
export type Shaped<S> = S extends 'text'
  ? string
  : S extends 'number'
    ? number
    : S extends 'boolean'
      ? boolean
      : S extends 'any'
        ? unknown
        : S extends { readonly oneOf: readonly (infer Text)[] }
          ? Text
          : S extends { readonly list: infer Item }
            ? readonly Shaped<Item>[]
            : S extends { readonly orNull: infer Value }
              ? Shaped<Value> | null
              : S extends { readonly of: infer Value }
                ? Readonly<Record<string, Shaped<Value>>>
                : S extends { readonly fields: infer All }
                  ? ShapedFields<All>
                  : never;

type ShapedFields<All> = Flat<
  {
    readonly [Key in keyof All as All[Key] extends Field<Shape, false> ? Key : never]: ShapedField<All[Key]>;
  } & {
    readonly [Key in keyof All as All[Key] extends Field<Shape, false> ? never : Key]?: ShapedField<All[Key]>;
  }
>;

type ShapedField<F> = F extends Field<infer S> ? Shaped<S> : never;

/** One object type instead of an intersection, so that editors show the keys. */
type Flat<T> = { readonly [Key in keyof T]: T[Key] };

/** A key that is always there. */
export function field<const S extends Shape>(shape: S, doc: string): Field<S, false> {
  return { shape, doc, optional: false };
}

/** A key that is left out where it does not apply. */
export function optional<const S extends Shape>(shape: S, doc: string): Field<S, true> {
  return { shape, doc, optional: true };
}

/** One key of a shape in the manual. */
export interface ShapeRow {
  /** `services.NAME.instances[].id` */
  readonly path: string;
  readonly type: string;
  readonly doc: string;
}

/** All keys of a shape, those of nested objects too, in order. */
export function shapeRows(shape: Shape, path = ''): readonly ShapeRow[] {
  if (typeof shape === 'string' || 'oneOf' in shape) return [];
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
  if ('oneOf' in shape) return 'text';
  if ('orNull' in shape) return `${typeOf(shape.orNull)} or null`;
  if ('list' in shape) return `list of ${plural(typeOf(shape.list))}`;
  if ('by' in shape) return `object by ${shape.by}`;
  return 'object';
}

function plural(type: string): string {
  return type === 'text' ? 'texts' : /^[a-z]+$/.test(type) ? `${type}s` : type;
}
