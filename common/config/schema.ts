import convict from 'convict';
import { knownHint } from '../nearest.ts';
import { type FormatName, formats, isObject, type Parse } from './formats.ts';
import type { JsonSchema } from './json-values.ts';
import { joinPath, type SectionContext } from './problem.ts';
import { isSecretKey, masked, show } from './secrets.ts';

/**
 * The format of an option: a name in `formats`; a list of the allowed values; a constructor such as `Object`; or a function
 * that throws an error saying what is allowed, and whose result, unless it is undefined, replaces the value.
 */
export type Format = FormatName | readonly unknown[] | ((value: unknown) => unknown);

/** One option, as convict describes it. */
export interface SchemaProperty<Value> {
  /** One line for `describe` and the reference. */
  readonly doc: string;
  readonly format: Format;
  /**
   * The value when the option is not given; a duration in milliseconds. Null makes the option required, unless its format
   * accepts null; undefined leaves the option out.
   */
  readonly default: Value | null | undefined;
  /** The type that `describe` shows when the format is a function: `duration`. */
  readonly type?: string;
  /** What a file may hold, for the JSON Schema of the configuration; needed when the format is a function. Null is left out. */
  readonly json?: JsonSchema;
  /**
   * True: null is accepted, whatever the format. False: null is an error. Not set: null goes to the format; if that refuses
   * it, the option counts as not given, as a YAML key without a value does in SmartStack.
   */
  readonly nullable?: boolean;
  /** Messages never contain the value. */
  readonly sensitive?: boolean;
  /** The option is a path, and this is at it; `describe` shows it as the type, and `check` commands look at the path. */
  readonly names?: PathUse;
}

/** What is at the path in an option; `named-paths.ts` says what `check` commands expect of each. */
export type PathUse =
  | 'password file'
  | 'PEM file'
  | 'file'
  | 'file or folder'
  | 'file of a program'
  | 'file to write'
  | 'folder'
  | 'folder to write'
  | 'flag file'
  | 'socket'
  | 'socket to make';

/** The options of one section: doc, format, default and, for secrets, `sensitive`. */
export type Schema<Options> = { readonly [Key in keyof Options]-?: SchemaProperty<Options[Key]> };

/** Keys of a section that its schema does not have. */
export interface ValidateOptions {
  /** Keys of this section that other code validates. */
  readonly elsewhere?: readonly string[];
  /** Keys that other code refuses: they are no hint for a misspelt one. */
  readonly refused?: readonly string[];
  /** Keys of a section below, and how its path is written: `services.NAME`. One of them here is a level too high. */
  readonly below?: { readonly keys: readonly string[]; readonly path: string };
  /** Keys of SmartStack without a meaning here: ignored, with one warning for each name. */
  readonly accepted?: readonly string[];
}

/**
 * Validates one section against a schema with convict. Problems are collected, never thrown. An invalid option has its
 * default in the result, which must not be used when there are errors.
 */
export function validate<Options>(
  schema: Schema<Options>,
  value: unknown,
  at: SectionContext,
  options: ValidateOptions = {},
): Options {
  const { path, problems } = at;
  if (value !== undefined && value !== null && !isObject(value)) {
    problems.push({ path, message: `must be an object of options, not ${show(value)}` });
    return validate(schema, undefined, { path, problems: [] });
  }
  const section = value ?? {};
  const result: Record<string, unknown> = {};
  for (const [key, property] of Object.entries<SchemaProperty<unknown>>(schema)) {
    const given = Object.hasOwn(section, key) && section[key] !== undefined && !isBlank(property, section[key]);
    result[key] = property.default;
    if (!given && property.default !== null) continue;
    try {
      result[key] = check(property, given ? section[key] : null);
    } catch (error) {
      // The message of a format that is a function may contain the value.
      const allowed = masked((error as Error).message);
      const secret = property.sensitive === true || isSecretKey(key);
      const message = given ? `${allowed}${secret ? '' : `, not ${show(section[key])}`}` : `is required: ${allowed}`;
      problems.push({ path: joinPath(path, key), message });
    }
  }
  checkKeys(Object.keys(section), Object.keys(schema), at, options);
  return Object.fromEntries(Object.entries(result).filter(([, item]) => item !== undefined)) as Options;
}

/** True when the option cannot be left out. */
export function isRequired(property: SchemaProperty<unknown>): boolean {
  return property.default === null && !takesNull(property);
}

/** True when a file may have null there: it is a value, or counts as not given. */
export function acceptsNull(property: SchemaProperty<unknown>): boolean {
  return takesNull(property) || (property.nullable !== false && property.default !== null);
}

/** Null that counts as not given: the option may be null-valued, but its format refuses null. */
function isBlank(property: SchemaProperty<unknown>, value: unknown): boolean {
  return value === null && property.nullable !== false && !takesNull(property);
}

function takesNull(property: SchemaProperty<unknown>): boolean {
  try {
    check(property, null);
    return true;
  } catch {
    return false;
  }
}

/** Reports unknown keys, each with the nearest known one. */
export function checkKeys(
  keys: readonly string[],
  schemaKeys: readonly string[],
  at: SectionContext,
  options: ValidateOptions = {},
): void {
  const { elsewhere = [], refused = [], accepted = [], below } = options;
  const known = [...schemaKeys, ...elsewhere];
  for (const key of keys) {
    if (known.includes(key) || refused.includes(key)) continue;
    const path = joinPath(at.path, key);
    if (accepted.includes(key)) {
      const message = `${key} has no meaning here and is ignored, wherever it is`;
      if (!at.problems.some((problem) => problem.message === message)) {
        at.problems.push({ path, message, severity: 'warning' });
      }
      continue;
    }
    const isBelow = below?.keys.includes(key) === true;
    const message = isBelow ? `belongs to ${below.path}.${key}` : `unknown key; ${knownHint(key, known.toSorted())}`;
    at.problems.push({ path, message });
  }
}

for (const [name, parse] of Object.entries<Parse>(formats)) {
  addFormat(name, parse);
  addFormat(`optional-${name}`, (value) => (value === null ? null : parse(value)));
}

/**
 * Convict gets each value inside an array: it copies objects by key paths, which loses keys with dots, and converts strings
 * to other types by its own rules (it takes '80deadbeef' as port 80).
 */
type Box = [value: unknown];

function addFormat(name: string, parse: Parse): void {
  convict.addFormat({
    name,
    validate: (box: Box) => {
      box[0] = parse(box[0]);
    },
    coerce: (value: unknown) => value,
  });
}

const compiled = new WeakMap<SchemaProperty<unknown>, convict.Config<{ option: unknown }>>();

function check(property: SchemaProperty<unknown>, value: unknown): unknown {
  let config = compiled.get(property);
  if (config === undefined) {
    // `sensitive` keeps the value out of convict's message; `validate` adds it, masked.
    const option = { ...property, format: convictFormat(property.format), sensitive: true };
    config = convict({ option }, { env: {}, args: [] });
    compiled.set(property, config);
  }
  if (value === null && property.nullable) return null;
  const box: Box = [value];
  config.set('option', box);
  try {
    config.validate({ allowed: 'strict' });
  } catch (error) {
    throw new Error((error as Error).message.replace(/^option: /, ''), { cause: error });
  } finally {
    config.set('option', null);
  }
  return box[0];
}

function convictFormat(format: Format): string | ((box: Box) => void) {
  if (typeof format === 'string') return format;
  if (format === String) return 'string';
  if (format === Number) return 'number';
  if (format === Boolean) return 'boolean';
  if (format === Object) return 'object';
  if (format === Array) return 'list';
  if (typeof format === 'function') {
    return (box) => {
      const parsed = format(box[0]);
      if (parsed !== undefined) box[0] = parsed;
    };
  }
  return ([value]) => {
    if (!format.includes(value)) throw new Error(`must be one of ${format.map(show).join(', ')}`);
  };
}
