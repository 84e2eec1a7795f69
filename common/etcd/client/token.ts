/** The token of one member; etcd's simple tokens are known only to the member that gave them. */
export class Token {
  /** Gets a new token; undefined where etcd needs none. Has a deadline of its own. */
  readonly #login: () => Promise<string | undefined>;
  /** Undefined: not known. A token that is undefined is known not to be needed. */
  #current: { readonly token: string | undefined } | undefined;
  #pending: Promise<string | undefined> | undefined;

  constructor(login: () => Promise<string | undefined>) {
    this.#login = login;
  }

  /**
   * The token; asks for one when it is not known, and calls that come meanwhile share the answer. Undefined while etcd has
   * authentication off: credentials may be configured before it is turned on.
   */
  async get(): Promise<string | undefined> {
    if (this.#current !== undefined) return this.#current.token;
    this.#pending ??= this.#ask();
    return this.#pending;
  }

  /** Says that etcd refused this token, or a call without one. A newer token is kept. */
  drop(token: string | undefined): void {
    if (this.#current?.token === token) this.#current = undefined;
  }

  async #ask(): Promise<string | undefined> {
    try {
      const token = await this.#login();
      this.#current = { token };
      return token;
    } finally {
      this.#pending = undefined;
    }
  }
}
