import { readFileSync } from 'node:fs';
import type { EtcdOptions } from './options.ts';

/** The password of this process's user, shared by all members. It may change while the process runs. */
export class Password {
  readonly #read: () => string;
  /** The one that etcd took last: the file may have a new one that etcd does not know yet. */
  #accepted: string | undefined;

  constructor(read: () => string) {
    this.#read = read;
  }

  /**
   * The passwords to try, the likeliest first. Reads the file again.
   * @throws naming the file that cannot be read, when no earlier password is known
   */
  candidates(): readonly string[] {
    const accepted = this.#accepted;
    try {
      const current = this.#read();
      return accepted === undefined || accepted === current ? [current] : [current, accepted];
    } catch (error) {
      if (accepted === undefined) throw error;
      return [accepted];
    }
  }

  /** Says that etcd took this password. */
  accepted(password: string): void {
    this.#accepted = password;
  }
}

/** The password of the options; undefined when they name no user. Reads nothing yet. */
export function passwordOf({ username, password, password_file: file }: EtcdOptions): Password | undefined {
  if (!username) return undefined;
  if (file) return new Password(() => readPassword(file));
  return password ? new Password(() => password) : undefined;
}

/** A password file's text without the newline at its end. @throws naming the file, never what is in it */
function readPassword(file: string): string {
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
