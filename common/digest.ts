import { createHash } from 'node:crypto';

/** A short hash of text, to compare by. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** SHA-1 in hexadecimal, as SmartStack makes cookie values of names. */
export function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}
