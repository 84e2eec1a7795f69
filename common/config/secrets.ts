import { quote } from '../wording.ts';

/** Keys whose values are never shown, in every schema. The file names of keys (`tls.key`) are not secret. */
const secretKey =
  /pass(?:word|wd|phrase)?$|secret|token|credential|^authorization$|^proxy-authorization$|^(?:set-)?cookie$|api[_-]?key$|access[_-]?key$|private[_-]?key$/i;

/** Shown in place of a secret. */
export const mask = '********';

/** True for key names that mark a secret: `password`, `token`, `aws_secret_access_key`, … */
export function isSecretKey(key: string): boolean {
  return secretKey.test(key);
}

/** A deep copy without secrets: the values of secret keys and passwords in URLs are masked. */
export function masked(value: unknown, key = ''): unknown {
  if (isSecretKey(key) && value !== null && value !== undefined && value !== '') return mask;
  if (typeof value === 'string') return value.replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^/\s:@]*):[^/\s@]*@/gi, `$1:${mask}@`);
  if (Array.isArray(value)) return value.map((item) => masked(item));
  if (value === null || typeof value !== 'object') return value;
  // fromEntries defines properties, so a key named __proto__ stays a key.
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, masked(item, name)]));
}

/** A value in a message: masked, in one line of at most 80 characters. */
export function show(value: unknown): string {
  return quote(masked(value));
}
