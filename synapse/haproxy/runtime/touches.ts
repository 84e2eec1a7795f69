/** Which backends had commands since they were last read, and since a reading was asked for. */
export interface Touches {
  /** Backends to read again. */
  readonly unread: ReadonlySet<string>;
  /** A backend has commands under way. */
  touch(backend: string): void;
  /** It has been read. */
  read(backend: string): void;
  /** Remembers this moment: a reading that is asked for now is stale for what is touched from now on. */
  moment(): { isStale(backend: string): boolean };
  forget(): void;
}

export function createTouches(): Touches {
  /** Only grows, and so tells a reading that was asked for earlier. */
  const counts = new Map<string, number>();
  const unread = new Set<string>();
  return {
    unread,
    touch(backend) {
      counts.set(backend, (counts.get(backend) ?? 0) + 1);
      unread.add(backend);
    },
    read: (backend) => void unread.delete(backend),
    moment() {
      const then = new Map(counts);
      return { isStale: (backend) => counts.get(backend) !== then.get(backend) };
    },
    forget() {
      counts.clear();
      unread.clear();
    },
  };
}
