import { readFileSync } from 'node:fs';

/** A password file's text without the newline at its end. @throws naming the file, never what is in it */
export function readPasswordFile(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`cannot read the password file ${file}`, { cause: error });
  }
  const password = text.replace(/\r?\n$/, '');
  if (password === '') throw new Error(`the password file ${file} is empty`);
  return password;
}
