import { readFileSync } from 'node:fs';
import { unreadable } from './config/problem.ts';

/** A file's text without the newline that editors and `echo` write at its end. */
export function textWithoutNewline(text: string): string {
  return text.replace(/\r?\n$/, '');
}

/** A password file's text without the newline at its end. @throws naming the file, never what is in it */
export function readPasswordFile(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`cannot read the password file ${file}: it ${unreadable(error as NodeJS.ErrnoException)}`);
  }
  const password = textWithoutNewline(text);
  if (password === '') throw new Error(`the password file ${file} is empty`);
  return password;
}
