/** The token of one member; etcd's simple tokens are known to the member that gave them. */
export interface Token {
  /**
   * The token, asking for one when that is not known. Calls that come while one is asked for share it. Undefined when
   * etcd does not ask who calls: credentials may be there before it does.
   */
  get(): Promise<string | undefined>;
  /** Says that this token, or having none, was refused. A newer one is kept. */
  drop(token: string | undefined): void;
}

/** Keeps a token that `login` fetches; it returns undefined where none is needed. `login` must have a deadline of its own. */
export function createToken(login: () => Promise<string | undefined>): Token {
  let current: { readonly token: string | undefined } | undefined;
  let pending: Promise<string | undefined> | undefined;
  return {
    async get() {
      if (current !== undefined) return current.token;
      pending ??= login()
        .then((token) => {
          current = { token };
          return token;
        })
        .finally(() => {
          pending = undefined;
        });
      return pending;
    },
    drop(token) {
      if (current?.token === token) current = undefined;
    },
  };
}
