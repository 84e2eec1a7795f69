/** The token of one member; etcd's simple tokens are known to the member that gave them. */
export interface Token {
  /** The token, asking for one when there is none. Calls that come while one is asked for share it. */
  get(): Promise<string>;
  /** Says that this token was refused. A newer one is kept. */
  drop(token: string): void;
}

/** Keeps a token that `login` fetches. `login` must have a deadline of its own. */
export function createToken(login: () => Promise<string>): Token {
  let current: string | undefined;
  let pending: Promise<string> | undefined;
  return {
    async get() {
      if (current !== undefined) return current;
      pending ??= login()
        .then((token) => {
          current = token;
          return token;
        })
        .finally(() => {
          pending = undefined;
        });
      return pending;
    },
    drop(token) {
      if (current === token) current = undefined;
    },
  };
}
