/** Things that several users share by key: made for the first, ended when the last has let go. */
export class Shared {
  #items = new Map<string, { readonly value: unknown; readonly end: AbortController; readonly users: Set<object> }>();

  /** The thing called `key`, made now if nobody has it yet. It is held until `user` lets go. */
  get<T>(user: object, key: string, make: (signal: AbortSignal) => T): T {
    let item = this.#items.get(key);
    if (item === undefined) {
      const end = new AbortController();
      item = { value: make(end.signal), end, users: new Set() };
      this.#items.set(key, item);
    }
    item.users.add(user);
    return item.value as T;
  }

  /** Lets go of everything that `user` holds. */
  release(user: object): void {
    for (const [key, { end, users }] of this.#items) {
      if (!users.delete(user) || users.size > 0) continue;
      this.#items.delete(key);
      end.abort();
    }
  }
}
