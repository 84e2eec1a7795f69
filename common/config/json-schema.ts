import { formatDuration } from '../wording.ts';
import type { FormatName, formats } from './formats.ts';
import {
  anyText,
  durationText,
  type JsonSchema,
  listOf,
  mapOf,
  numeric,
  oneLine,
  oneOrList,
  textLike,
  wholeNumber,
} from './json-values.ts';
import { acceptsNull, type Format, isRequired, type Schema, type SchemaProperty } from './schema.ts';

/** A text with a variable in it. Its value is not known here, so it may stand for any value. */
const variable: JsonSchema = { $ref: '#/definitions/variable' };

/** `true`, `yes` and `on`, in any case, and the opposites. */
const anyCase = (...words: readonly string[]): string =>
  `^(${words.map((word) => word.replace(/[a-z]/g, (letter) => `[${letter.toUpperCase()}${letter}]`)).join('|')})$`;

/** Lines of HAProxy: no control characters, except for the tab, which indents. */
const someLines = String.raw`^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]*$`;

/** The largest time in seconds, see `formats.duration`. */
const maxSeconds = (2 ** 31 - 1) / 1000;

/** What a file may hold for each format. It never refuses what the format accepts, and accepts some of what that refuses. */
const byFormat: Readonly<Record<keyof typeof formats, JsonSchema>> = {
  '*': {},
  string: anyText,
  'non-empty-string': textLike(String.raw`\S`),
  boolean: { anyOf: [{ type: 'boolean' }, textLike(anyCase('true', 'yes', 'on', 'false', 'no', 'off'))] },
  number: numeric(),
  integer: wholeNumber(),
  'natural-number': wholeNumber({ minimum: 0 }),
  'positive-integer': wholeNumber({ minimum: 1 }),
  port: wholeNumber({ minimum: 1, maximum: 65_535 }),
  host: textLike('^[A-Za-z0-9_:][A-Za-z0-9_.:-]*$'),
  duration: { anyOf: [{ type: 'number', minimum: 0, maximum: maxSeconds }, textLike(durationText)] },
  'positive-duration': {
    anyOf: [{ type: 'number', exclusiveMinimum: 0, maximum: maxSeconds }, textLike(durationText)],
  },
  weight: wholeNumber({ minimum: 0, maximum: 256 }),
  object: { type: 'object' },
  list: { type: 'array' },
  strings: oneOrList(anyText),
  lines: { anyOf: [textLike(someLines), listOf(textLike(oneLine))] },
  labels: mapOf(anyText),
  hosts: oneOrList(anyText),
  listen: { anyOf: [{ enum: [false] }, textLike(String.raw`^(.*:\d{1,5}|false)$`)] },
  'file-mode': textLike('^0?[0-7]{3}$'),
};

/** The definitions that {@link sectionSchema} refers to. */
export const formatDefinitions: Readonly<Record<string, JsonSchema>> = {
  variable: { type: 'string', pattern: String.raw`\$\{[A-Za-z_]|<%=` },
  off: withVariables({ anyOf: [{ enum: [false] }, textLike(anyCase('false', 'no', 'off'))] }),
  ...Object.fromEntries(Object.entries(byFormat).map(([name, schema]) => [name, withVariables(schema)])),
};

/** How a section differs from the schema of its options. */
export interface SectionShape {
  /** Keys that the schema of its options does not have. */
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  /** Required keys besides those of the options. */
  readonly required?: readonly string[];
  /** Required options that may come from elsewhere. */
  readonly optional?: readonly string[];
  /** What must hold of several options together. */
  readonly allOf?: readonly JsonSchema[];
}

/** The JSON Schema of one section; refers to {@link formatDefinitions}. Keys that it does not have are refused. */
export function sectionSchema<Options>(schema: Schema<Options>, shape: SectionShape = {}): JsonSchema {
  const own = Object.entries<SchemaProperty<unknown>>(schema);
  const ownRequired = own.filter(([, property]) => isRequired(property)).map(([name]) => name);
  const required = [...ownRequired, ...(shape.required ?? [])].filter((name) => !shape.optional?.includes(name));
  return {
    type: 'object',
    properties: { ...Object.fromEntries(own.map(([name, item]) => [name, optionSchema(item)])), ...shape.properties },
    ...(required.length > 0 && { required }),
    additionalProperties: false,
    ...(shape.allOf && { allOf: shape.allOf }),
  };
}

/** A section that may be left without a value, as a YAML key is. */
export function orNull(section: JsonSchema): JsonSchema {
  return { ...section, type: [section.type, 'null'] };
}

function optionSchema(property: SchemaProperty<unknown>): JsonSchema {
  const value = valueSchema(property);
  const written = defaultValue(property);
  return {
    description: property.doc,
    ...(written !== undefined && { default: written }),
    anyOf: acceptsNull(property) ? [value, { type: 'null' }] : [value],
  };
}

function valueSchema({ format, json }: SchemaProperty<unknown>): JsonSchema {
  if (json !== undefined) return withVariables(json);
  if (Array.isArray(format)) return withVariables({ enum: format });
  const name = formatName(format);
  if (name === undefined) throw new Error('an option whose format is a function has to say what a file may hold: json');
  return { $ref: `#/definitions/${name}` };
}

function formatName(format: Format): string | undefined {
  if (typeof format === 'string') return (format as FormatName).replace(/^optional-/, '');
  const constructors = new Map<unknown, keyof typeof formats>([
    [String, 'string'],
    [Number, 'number'],
    [Boolean, 'boolean'],
    [Object, 'object'],
    [Array, 'list'],
  ]);
  return constructors.get(format);
}

/** A default as a file would have it; undefined when it cannot stand there. */
function defaultValue({ default: value, format, type = String(format) }: SchemaProperty<unknown>): unknown {
  if (value === null || value === undefined || value instanceof Map || value === Number.POSITIVE_INFINITY)
    return undefined;
  if (typeof value === 'number' && type.endsWith('duration')) return formatDuration(value);
  if (typeof value === 'number' && type === 'file-mode') return `0${value.toString(8)}`;
  return value;
}

/** The schema, in which each value that is not any text may be a variable instead. */
export function withVariables(schema: JsonSchema): JsonSchema {
  const each = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map((item) => withVariables(item));
    return value !== null && typeof value === 'object' ? withVariables(value as JsonSchema) : value;
  };
  const { type, items, additionalProperties, anyOf, properties, pattern } = schema;
  if (anyOf !== undefined) return { ...schema, anyOf: withoutRepeats((anyOf as JsonSchema[]).map(withVariables)) };
  const inner = {
    ...schema,
    ...(items !== undefined && { items: each(items) }),
    ...(additionalProperties !== undefined && { additionalProperties: each(additionalProperties) }),
    ...(properties !== undefined && {
      properties: Object.fromEntries(Object.entries(properties as JsonSchema).map(([key, item]) => [key, each(item)])),
    }),
  };
  const isNarrow =
    pattern !== undefined || schema.enum !== undefined || ['number', 'integer', 'boolean'].includes(String(type));
  return isNarrow ? { anyOf: [inner, variable] } : inner;
}

/** Alternatives of alternatives in one list, with one variable at its end. */
function withoutRepeats(alternatives: readonly JsonSchema[]): readonly JsonSchema[] {
  const flat = alternatives.flatMap((item) => {
    const { anyOf, ...others } = item;
    return anyOf !== undefined && Object.keys(others).length === 0 ? (anyOf as JsonSchema[]) : [item];
  });
  const isVariable = (item: JsonSchema): boolean => item.$ref === variable.$ref;
  const plain = flat.filter((item) => !isVariable(item));
  return flat.some(isVariable) ? [...plain, variable] : plain;
}
