import type { PathUse } from '../../../common/config/schema.ts';

/** Text or nothing, as an entry of a schema. */
export const optionalText = (doc: string) => ({ doc, format: 'optional-string', default: null }) as const;

/** A path or nothing, as an entry of a schema. */
export const optionalPath = (doc: string, names: PathUse) => ({ ...optionalText(doc), names }) as const;

/** A path, or a list of them. */
export function stringOrList(value: unknown): void {
  if (value === null || isText(value)) return;
  if (!Array.isArray(value) || value.length === 0 || !value.every(isText)) {
    throw new Error('must be a path or a list of paths');
  }
}

/** Section title → lines. */
export function sections(value: unknown): void {
  const usable =
    value !== null &&
    typeof value === 'object' &&
    !Array.isArray(value) &&
    Object.entries(value).every(([title, lines]) => isLine(title) && Array.isArray(lines) && lines.every(isLine));
  if (!usable) throw new Error('must be an object: section title → list of lines');
}

/** A factor. */
export function fraction(value: unknown): void {
  if (typeof value !== 'number' || !(value >= 0 && value <= 100)) throw new Error('must be a number from 0 to 100');
}

/** What may follow a name in HAProxy's file. */
export function nameSuffix(value: unknown): void {
  if (value !== null && !(typeof value === 'string' && /^[A-Za-z0-9_.:-]*$/.test(value))) {
    throw new Error('must be made of A-Z a-z 0-9 - _ . :');
  }
}

/** A number or a string, or nothing. */
export function seed(value: unknown): void {
  if (value !== null && typeof value !== 'number' && typeof value !== 'string') {
    throw new Error('must be a number or a string');
  }
}

/** A port or a range of them, as HAProxy binds it; null and false have their own meaning. */
export function frontendPort(value: unknown): void {
  if (value === null || value === false) return;
  const usable =
    typeof value === 'number'
      ? Number.isInteger(value) && value >= 1 && value <= 65_535
      : typeof value === 'string' && /^[0-9]{1,5}(-[0-9]{1,5})?$/.test(value);
  if (!usable) throw new Error('must be a port from 1 to 65535');
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !value.includes('\0');
}

function isLine(value: unknown): value is string {
  return typeof value === 'string' && !/[\r\n\0]/.test(value);
}
