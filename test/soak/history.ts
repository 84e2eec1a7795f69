/** What happened in a run, line by line, for people; and what was counted. */
export class History {
  readonly #write: (line: string) => void;
  readonly #startedAt = performance.now();
  readonly #lines: string[] = [];
  readonly #violations: string[] = [];
  readonly #counts = new Map<string, number>();

  /** @param write gets each line as it is noted */
  constructor(write: (line: string) => void = () => {}) {
    this.#write = write;
  }

  /** Seconds since the start. */
  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1_000;
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  /** What must not be and was. */
  get violations(): readonly string[] {
    return this.#violations;
  }

  /** By name, in the order of the names. */
  get counts(): readonly (readonly [string, number])[] {
    return [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  note(line: string): void {
    const stamped = `${this.seconds.toFixed(3).padStart(8)} ${line}`;
    this.#lines.push(stamped);
    this.#write(stamped);
  }

  count(name: string, by = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + by);
  }

  violated(what: string): void {
    this.note(`VIOLATION: ${what}`);
    this.#violations.push(`${this.seconds.toFixed(3)} s: ${what}`);
  }
}
