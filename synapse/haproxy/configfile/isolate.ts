/** Which of several changes are accepted together, and why each of the others is refused. */
export interface Isolation<Unit> {
  readonly accepted: readonly Unit[];
  /** Unit → the message of its refusal. */
  readonly refused: ReadonlyMap<Unit, string>;
}

/** What is known before the search for refused units, and when to give up. */
export interface IsolateOptions {
  /** The message of the refusal of all units together. */
  readonly message: string;
  /** True when no further attempt may be made: units that are not told apart by then count as refused together. */
  readonly exhausted: () => boolean;
}

/**
 * Finds the units that are refused by halving, with about 2·log2(n) attempts for each of them. All units together were
 * refused; none of them was accepted before. `attempt` answers null when its units are accepted together, and the message
 * of the refusal otherwise. The accepted units were accepted together, so that of a pair whose units are only refused
 * together one is accepted.
 */
export async function isolate<Unit>(
  units: readonly Unit[],
  attempt: (included: readonly Unit[]) => Promise<string | null>,
  { message, exhausted }: IsolateOptions,
): Promise<Isolation<Unit>> {
  const accepted: Unit[] = [];
  const refused = new Map<Unit, string>();

  /** `part` together with the units accepted so far was refused with `said`. */
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
      // Both halves together were refused, so the second half is to blame.
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
