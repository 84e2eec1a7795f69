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

/** A password in a URL; it may have a slash or an `@` in it. */
const inUrl = /(\b[a-z][a-z0-9+.-]*:\/\/[^/\s:@]*):[^\s,]*@/gi;
/** A name and the sign before its value in a text: `password: `, `"password":`, `token=`. */
const named = /(?<![\w-])([\w-]+)["']?\s*[:=]\s*/g;
/** A value after that, in quotes or up to the next separator. */
const valueThere = /"[^"]*"?|'[^']*'?|(?:Bearer |Basic )?[^\s,;&}\])]+/y;

/** A text in which what looks like the value of a secret key, or like a password in a URL, is masked. */
function maskedText(text: string): string {
  const parts: string[] = [];
  const whole = text.replace(inUrl, `$1:${mask}@`);
  let from = 0;
  for (const { 0: all, 1: key = '', index } of whole.matchAll(named)) {
    const at = index + all.length;
    if (index < from || !isSecretKey(key)) continue;
    valueThere.lastIndex = at;
    const value = valueThere.exec(whole)?.[0] ?? '';
    if (value === '') continue;
    parts.push(whole.slice(from, at), mask);
    from = at + value.length;
  }
  return `${parts.join('')}${whole.slice(from)}`;
}

/** A deep copy without secrets: the values of secret keys and passwords in texts are masked. */
export function masked(value: unknown, key = ''): unknown {
  if (isSecretKey(key) && value !== null && value !== undefined && value !== '') return mask;
  if (typeof value === 'string') return maskedText(value);
  if (Array.isArray(value)) return value.map((item) => masked(item));
  if (value === null || typeof value !== 'object') return value;
  // fromEntries defines properties, so a key named __proto__ stays a key.
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, masked(item, name)]));
}

/** A value in a message: masked, in one line of at most 80 characters. */
export function show(value: unknown): string {
  return quote(masked(value));
}
