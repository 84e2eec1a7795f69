/** Which of several changes can be made together, and what was said about the others. */
export interface Isolation<Unit> {
  readonly accepted: readonly Unit[];
  readonly refused: ReadonlyMap<Unit, string>;
}

export interface IsolateOptions {
  /** What was said about all units together. */
  readonly message: string;
  /** True when no further attempt may be made: units that are not told apart by then count as refused together. */
  readonly exhausted: () => boolean;
}

/**
 * Finds the units that spoil the rest by halving: about 2·log2(n) attempts for each of them. All units together were
 * refused and none of them was accepted. `attempt` answers null when what it was given can be made together; what is
 * returned as accepted was accepted together, so pairs that only spoil each other are told apart too.
 */
export async function isolate<Unit>(
  units: readonly Unit[],
  attempt: (included: readonly Unit[]) => Promise<string | null>,
  { message, exhausted }: IsolateOptions,
): Promise<Isolation<Unit>> {
  const accepted: Unit[] = [];
  const refused = new Map<Unit, string>();

  /** `part` on top of what is accepted so far was refused with `said`. */
  const divide = async (part: readonly Unit[], said: string): Promise<void> => {
    if (part.length <= 1 || exhausted()) {
      for (const unit of part) refused.set(unit, said);
      return;
    }
    const middle = Math.ceil(part.length / 2);
    const first = part.slice(0, middle);
    const second = part.slice(middle);
    const aboutFirst = await attempt([...accepted, ...first]);
    if (aboutFirst === null) {
      accepted.push(...first);
      // Together they were refused, so it has to be the other half.
      return await divide(second, said);
    }
    await divide(first, aboutFirst);
    if (exhausted()) return await divide(second, said);
    const aboutSecond = await attempt([...accepted, ...second]);
    if (aboutSecond === null) accepted.push(...second);
    else await divide(second, aboutSecond);
  };

  if (units.length > 0) await divide(units, message);
  return { accepted, refused };
}
