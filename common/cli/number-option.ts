import { type NumberRange, UsageError } from './program.ts';

/** Reads the value of an option that is a decimal number. @throws {UsageError} naming the option and what is allowed */
export function numberOption(option: string, text: unknown, range: NumberRange): number {
  const { least, most = Number.MAX_SAFE_INTEGER, fractions = false } = range;
  const value = /^\d{1,15}(?:\.\d{1,15})?$/.test(String(text)) ? Number(text) : Number.NaN;
  if (value >= least && value <= most && (fractions || Number.isInteger(value))) return value;
  const limits = range.most === undefined ? `${least} or more` : `from ${least} to ${most}`;
  throw new UsageError(`--${option} ${text}: must be a ${fractions ? '' : 'whole '}number, ${limits}`);
}
