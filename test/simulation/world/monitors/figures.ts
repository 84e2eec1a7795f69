/** What is measured in each run, and how the worst of it is printed. */
const names = {
  missing: ['longest time that an announced healthy instance was out', 'ms'],
  empty: ['longest time that a service with a healthy instance was empty', 'ms'],
  withdrawal: ['slowest withdrawal', 'ms'],
  hungWithdrawal: ['slowest withdrawal while a member of etcd hangs or is away', 'ms'],
  kept: ['longest time in a run, over all instances, that lost ones were kept in a wave', 'ms'],
  dead: ['longest time that a lost and dead instance was in use', 'ms'],
  unannounced: ['longest time that a healthy instance was not announced', 'ms'],
  sick: ['longest time that a sick instance was announced', 'ms'],
  unsettled: ['longest time after the faults that etcd differed from the checks', 'ms'],
  behind: ['longest time after the faults that HAProxy or a file differed from etcd', 'ms'],
  proofs: ['most servers at a time that waits for all proxies have shown to be drained', ''],
  wait: ['longest wait for all proxies in peace', 'ms'],
  lines: ['most log lines of a daemon in a minute', ''],
  timers: ['most timers of a daemon at rest', ''],
  reloads: ['most reloads that one synapse asked for', ''],
  takeovers: ['most takeovers of keys in a run', ''],
} as const satisfies Readonly<Record<string, readonly [text: string, unit: string]>>;

/** Something that is measured. */
export type Figure = keyof typeof names;

/** The worst that was seen of each kind. Runs are put together with {@link Figures.merge}. */
export class Figures {
  readonly #worst = new Map<Figure, number>();

  /** Takes one value. */
  worst(what: Figure, value: number): void {
    if (value > (this.#worst.get(what) ?? Number.NEGATIVE_INFINITY)) this.#worst.set(what, value);
  }

  /** Takes the worst of another run. */
  merge(other: Readonly<Partial<Record<Figure, number>>>): void {
    for (const [what, value] of Object.entries(other)) this.worst(what as Figure, value);
  }

  get all(): Readonly<Partial<Record<Figure, number>>> {
    return Object.fromEntries(this.#worst);
  }

  /** One line for each kind, as people read it. */
  get lines(): readonly string[] {
    return Object.entries(names).map(([what, [text, unit]]) => {
      const value = Math.round(this.#worst.get(what as Figure) ?? 0);
      return `${text}: ${value}${unit === '' ? '' : ` ${unit}`}`;
    });
  }
}
