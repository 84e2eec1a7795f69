import { readPasswordFile } from '../../password-file.ts';
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
  if (file) return new Password(() => readPasswordFile(file));
  return password ? new Password(() => password) : undefined;
}
