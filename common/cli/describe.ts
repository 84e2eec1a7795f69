import { type Format, isRequired, type Schema, type SchemaProperty } from '../config/schema.ts';
import { formatDuration } from '../wording.ts';
import { type Fields, field, type Shape } from './json-shape.ts';
import { formatTable } from './table.ts';

/** One option, as `describe` shows it. */
export interface OptionRow {
  readonly name: string;
  readonly type: string;
  /** The default as a configuration file would have it; empty when there is none. */
  readonly default: string;
  readonly required: boolean;
  readonly doc: string;
}

/** Options under one title. */
export interface OptionSection {
  readonly title: string;
  readonly options: readonly OptionRow[];
}

const optionRow: Fields = {
  fields: {
    name: field('text', 'key'),
    type: field('text', 'what it may hold'),
    default: field('text', 'as it would be written; empty when it is left out'),
    required: field('boolean', 'it must be given'),
    doc: field('text', 'what it does'),
  },
};

/** The shape of `describe --json`. */
export const describeShape: Shape = {
  list: {
    fields: {
      title: field('text', 'where the options stand'),
      options: field({ list: optionRow }, 'in order'),
    },
  },
};

/** The options of a schema, in its order. */
export function describeSchema<Options>(schema: Schema<Options>): readonly OptionRow[] {
  return Object.entries<SchemaProperty<unknown>>(schema).map(([name, property]) => {
    const { format, default: value, doc, names, type = names ?? typeName(format) } = property;
    const required = isRequired(property);
    const shown = type.replace(/^optional-/, '');
    return { name, type: shown, default: defaultText(value, type, required), required, doc };
  });
}

/** Formats options as a table. */
export function formatOptions(rows: readonly OptionRow[]): string {
  const header = { name: 'OPTION', type: 'TYPE', default: 'DEFAULT', doc: '' };
  return formatTable([header, ...rows].map((row) => [row.name, row.type, row.default, row.doc]));
}

/** Formats sections as text, one below the other. */
export function formatSections(sections: readonly OptionSection[]): string {
  return sections
    .map(
      ({ title, options }) => `${title}\n${options.length === 0 ? 'no options of its own\n' : formatOptions(options)}`,
    )
    .join('\n');
}

function typeName(format: Format): string {
  if (typeof format === 'string') return format;
  if (Array.isArray(format))
    return format.map((value) => (typeof value === 'string' ? value : JSON.stringify(value))).join(' | ');
  const name = (format as { readonly name?: string }).name ?? '';
  // The name of a function such as `readLabels` says little to a user; the name of a constructor does.
  return /^[A-Z]/.test(name) ? name.toLowerCase() : 'value';
}

function defaultText(value: unknown, type: string, required: boolean): string {
  if (required) return 'required';
  if (value === undefined || value === null) return '';
  if (typeof value === 'number' && type.endsWith('duration')) return formatDuration(value);
  if (typeof value === 'number' && type.endsWith('file-mode')) return `0${value.toString(8)}`;
  return typeof value === 'string' ? value : JSON.stringify(value);
}
