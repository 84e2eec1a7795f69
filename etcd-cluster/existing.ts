import { readFile } from 'node:fs/promises';

/** The text of a file; undefined when it is not there. @throws when it may not be read */
export function readIfThere(file: string): Promise<string | undefined> {
  return ifThere(readFile(file, 'utf8'));
}

/** What a call of `node:fs` finds; undefined for a file that is not there. */
export async function ifThere<T>(what: Promise<T>): Promise<T | undefined> {
  try {
    return await what;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
