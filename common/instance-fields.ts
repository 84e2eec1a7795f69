import { quote } from './wording.ts';

/** A record cannot be used. The message has the field, its value (shortened) and what is allowed. */
export class InvalidRecord extends Error {
  override readonly name = 'InvalidRecord';
}

/** HAProxy accepts these in a server name (configuration manual, section 2.2 "letters, digits, '-', '_', '.' and ':'"). */
const namePattern = /^[A-Za-z0-9_.:-]{1,128}$/;
/** Printable ASCII without characters that are special in haproxy.cfg or on the runtime API: quotes, `\`, `#`, `;`, `$`, `<`. */
const optionsPattern = /^[A-Za-z0-9 _.,:/@%+=()[\]{}*!?&|^~-]*$/;

/** The longest `haproxy_server_options`, in characters. */
const longestOptions = 1024;

/** True for a name that an instance may have. */
export function isInstanceName(name: unknown): name is string {
  return typeof name === 'string' && namePattern.test(name);
}

/** Reads a name that HAProxy takes for a server; it may be empty. @throws {InvalidRecord} */
export function readName(name: unknown): string {
  if (typeof name !== 'string') throw new InvalidRecord(`name ${quote(name)}: must be a string`);
  if (name !== '' && !isInstanceName(name)) {
    throw new InvalidRecord(`name ${quote(name)}: allowed are up to 128 of A-Z a-z 0-9 _ . : -`);
  }
  return name;
}

/** Reads a state. @throws {InvalidRecord} */
export function readState(state: unknown): 'up' | 'drain' | 'down' {
  if (state !== 'up' && state !== 'drain' && state !== 'down') {
    throw new InvalidRecord(`state ${quote(state)}: must be up, drain or down`);
  }
  return state;
}

/** Reads whether an instance is a backup. @throws {InvalidRecord} */
export function readBackup(backup: unknown): boolean {
  if (typeof backup !== 'boolean') throw new InvalidRecord(`backup ${quote(backup)}: must be true or false`);
  return backup;
}

/** Reads a weight in HAProxy's range. @throws {InvalidRecord} */
export function readWeight(weight: unknown): number {
  if (typeof weight !== 'number' || !Number.isInteger(weight) || weight < 0 || weight > 256) {
    throw new InvalidRecord(`weight ${quote(weight)}: must be a whole number from 0 to 256`);
  }
  return weight;
}

/** Reads one line of plain words. @throws {InvalidRecord} */
export function readServerOptions(options: unknown): string {
  if (typeof options !== 'string')
    throw new InvalidRecord(`haproxy_server_options ${quote(options)}: must be a string`);
  if (options.length > longestOptions) {
    const length = `${options.length} characters, at most ${longestOptions} are read`;
    throw new InvalidRecord(`haproxy_server_options ${quote(options)}: ${length}`);
  }
  if (!optionsPattern.test(options)) {
    const allowed = 'quotes and control characters are not allowed';
    throw new InvalidRecord(`haproxy_server_options ${quote(options)}: ${allowed}`);
  }
  return options;
}

/**
 * Reads labels. One that cannot be used does not take the others with it: `onProblem` is told of it.
 * @throws {InvalidRecord} when there are no labels in it
 */
export function readLabels(
  labels: unknown,
  onProblem: (problem: InvalidRecord) => void,
): Readonly<Record<string, string>> | undefined {
  if (typeof labels !== 'object' || labels === null || Array.isArray(labels)) {
    throw new InvalidRecord(`labels ${quote(labels)}: must be an object of strings`);
  }
  const entries = Object.entries(labels);
  if (entries.length > 64) throw new InvalidRecord(`labels: ${entries.length} of them, at most 64 are allowed`);
  // A null prototype: a label named __proto__ is only a label.
  const usable: Record<string, string> = Object.create(null);
  for (const [key, value] of entries) {
    const problem = labelProblem(key, value);
    if (problem === undefined) usable[key] = value;
    else onProblem(new InvalidRecord(`labels.${quote(key)}${problem}`));
  }
  return Object.freeze(usable);
}

function labelProblem(key: string, value: unknown): string | undefined {
  if (typeof value !== 'string') return ` ${quote(value)}: must be a string`;
  if (key.length > 256 || value.length > 1024) return ': too long';
  return hasControl(key) || hasControl(value) ? ': control characters are not allowed' : undefined;
}

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 32 || code === 127) return true;
  }
  return false;
}
