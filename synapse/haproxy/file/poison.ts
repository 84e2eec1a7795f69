import type { FileText } from './filetext.ts';
import type { Finding } from './findings.ts';
import { isolate } from './isolate.ts';
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
