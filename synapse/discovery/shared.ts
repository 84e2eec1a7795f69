interface SharedItem {
  readonly value: unknown;
  readonly end: AbortController;
  readonly users: Set<object>;
}

/** Values that several users share by key: made for the first user, ended when the last one has released them. */
export class Shared {
  readonly #items = new Map<string, SharedItem>();

  /** The value called `key`, made now unless another user holds it already. `user` holds it until {@link release}. */
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

  /** Releases everything that `user` holds. */
  release(user: object): void {
    for (const [key, { end, users }] of this.#items) {
      if (!users.delete(user) || users.size > 0) continue;
      this.#items.delete(key);
      end.abort();
    }
  }
}
