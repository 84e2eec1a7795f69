/** What operators and other programs than synapse have done to servers. Times are virtual milliseconds. */
export class ChangesByOthers {
  readonly #touched = new Map<string, number>();
  readonly #turns = new Map<string, number[]>();

  /** Notes a command about `backend/name`; `turns`: it opens or closes the server. */
  note(
    target: string,
    address: string | undefined,
    { at, turns }: { readonly at: number; readonly turns: boolean },
  ): void {
    if (address !== undefined) this.#touched.set(address, at);
    if (turns) this.#turns.set(target, [...(this.#turns.get(target) ?? []), at]);
  }

  /** When a server of this address was last changed; minus infinity: never. */
  touchedAt(address: string): number {
    return this.#touched.get(address) ?? Number.NEGATIVE_INFINITY;
  }

  /** How often `backend/name` was opened or closed since a time. */
  turnsSince(target: string, since: number): number {
    return (this.#turns.get(target) ?? []).filter((at) => at >= since).length;
  }
}
