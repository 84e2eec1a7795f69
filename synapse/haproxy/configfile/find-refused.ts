import type { Finding } from './check.ts';
import type { FileText } from './file-text.ts';
import type { Unit } from './quarantine.ts';

/** What is left out of a text. */
export interface LeftOut {
  /** Services that keep their last good options. */
  readonly services: ReadonlySet<string>;
  /** Servers of these shapes have no line of ours. */
  readonly shapes: ReadonlySet<string>;
}

/** A service with something that was never accepted before. */
export interface Suspect {
  readonly service: string;
  /** Its options are new, not only its servers. */
  readonly restructured: boolean;
  /** Shapes of its servers that are new. */
  readonly shapes: readonly string[];
}

/** Which parts have to go, or, when the text is refused without any of them, what was said about it then. */
export type Poison = { readonly found: ReadonlyMap<Unit, string> } | { readonly everything: string };

export interface PoisonDeps {
  textWithout(out: LeftOut): FileText;
  check(text: FileText): Promise<Refusal | null>;
}

/** What a check said about a text. */
export interface Refusal {
  readonly message: string;
  readonly findings: readonly Finding[];
}

/** The most checks that one refused text may cost. */
export const mostChecks = 40;

/**
 * Finds what HAProxy refuses a text for: the lines that it names first, which mostly is all that it takes, then by
 * halving. Every answer has been checked.
 */
export async function findPoison(
  text: FileText,
  refusal: Refusal,
  suspects: readonly Suspect[],
  { textWithout, check }: PoisonDeps,
): Promise<Poison> {
  let left = mostChecks;
  const bySuspect = new Map(suspects.map((suspect) => [suspect.service, suspect]));
  const named = new Map<string, { readonly unit: Unit; readonly message: string }>();
  const attempt = async (units: readonly Unit[]): Promise<Refusal | null> => {
    left -= 1;
    return await check(textWithout(leftOut([...[...named.values()].map(({ unit }) => unit), ...units])));
  };

  // 1. What the messages name.
  let refused: Refusal | null = refusal;
  let about = text;
  while (refused !== null && left > 0) {
    const before = named.size;
    for (const { line, message } of refused.findings) {
      const unit = line === undefined ? undefined : unitAt(about.locate(line), bySuspect);
      if (unit !== undefined && !named.has(keyOf(unit))) named.set(keyOf(unit), { unit, message });
    }
    if (named.size === before) break;
    about = textWithout(leftOut([...named.values()].map(({ unit }) => unit)));
    left -= 1;
    refused = await check(about);
  }
  const found = new Map<Unit, string>([...named.values()].map(({ unit, message }) => [unit, message]));
  if (refused === null) return { found };

  // 2. Halving over services.
  const others = suspects
    .filter(
      ({ service, restructured, shapes }) => (restructured || shapes.length > 0) && !named.has(keyOf({ service })),
    )
    .map((suspect) => ({ suspect, units: unitsOf(suspect) }));
  const without = await attempt(others.flatMap(({ units }) => units));
  if (without !== null) return { everything: without.message };
  const outcome = await isolate(
    others,
    async (included) => {
      const excluded = others.filter((other) => !included.includes(other));
      return (await attempt(excluded.flatMap(({ units }) => units)))?.message ?? null;
    },
    { message: refused.message, exhausted: () => left <= 0 },
  );

  // 3. Within a service, over the shapes of its servers.
  for (const [guilty, message] of outcome.refused) {
    const { service, restructured, shapes } = guilty.suspect;
    const rest = [...outcome.refused.keys()].filter((other) => other !== guilty).flatMap(({ units }) => units);
    const servers = shapes.map((shape): Unit => ({ service, shape }));
    const alone = restructured ? await attempt([...rest, ...servers]) : null;
    if (alone !== null) {
      found.set({ service }, alone.message);
      continue;
    }
    const inside = await isolate(
      servers,
      async (included) => {
        const excluded = servers.filter((unit) => !included.includes(unit));
        return (await attempt([...rest, ...excluded]))?.message ?? null;
      },
      { message, exhausted: () => left <= 0 },
    );
    for (const [unit, said] of inside.refused) found.set(unit, said);
  }
  return { found };
}

/** Leaving a service's new options out leaves its new servers' out with them. */
function unitsOf({ service, restructured, shapes }: Suspect): readonly Unit[] {
  return restructured ? [{ service }] : shapes.map((shape) => ({ service, shape }));
}

function unitAt(
  at: { readonly service: string; readonly shape: string | undefined } | undefined,
  suspects: ReadonlyMap<string, Suspect>,
): Unit | undefined {
  const suspect = at && suspects.get(at.service);
  if (at === undefined || suspect === undefined) return undefined;
  if (at.shape !== undefined && suspect.shapes.includes(at.shape)) return { service: at.service, shape: at.shape };
  return suspect.restructured ? { service: at.service } : undefined;
}

function leftOut(units: readonly Unit[]): LeftOut {
  return {
    services: new Set(units.filter(({ shape }) => shape === undefined).map(({ service }) => service)),
    shapes: new Set(units.map(({ shape }) => shape).filter((shape) => shape !== undefined)),
  };
}

function keyOf({ service, shape }: Unit): string {
  return JSON.stringify([service, shape ?? null]);
}

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
