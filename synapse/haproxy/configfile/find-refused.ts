import type { Finding } from './check.ts';
import type { ConfigText, LineOwner } from './config-text.ts';
import { isolate } from './isolate.ts';
import type { QuarantineUnit } from './quarantine.ts';

/** What is left out of a text. */
export interface LeftOut {
  /** Services that keep their last good options. */
  readonly services: ReadonlySet<string>;
  /** Servers of these shapes have no line of ours. */
  readonly shapes: ReadonlySet<string>;
}

/** A service with anything that was not accepted before. */
export interface Suspect {
  readonly service: string;
  /** Its options are new, not only its servers. */
  readonly hasNewOptions: boolean;
  /** The shapes of its servers that are new. */
  readonly shapes: readonly string[];
}

/**
 * The units that are refused, each with the message of its refusal; or the message of the refusal when the text is refused
 * without all suspects too.
 */
export type RefusedUnits = { readonly found: ReadonlyMap<QuarantineUnit, string> } | { readonly everything: string };

/** How texts are made and checked during the search. */
export interface FindRefusedDeps {
  textWithout(out: LeftOut): ConfigText;
  /** Checks a text; null when it is accepted. */
  check(text: ConfigText): Promise<Refusal | null>;
}

/** What a check said about a text that it refused. */
export interface Refusal {
  readonly message: string;
  readonly findings: readonly Finding[];
}

/** The most checks that one refused text may cost. */
export const mostChecks = 40;

/**
 * Finds the units for which a text was refused: first the lines that HAProxy names, which suffices mostly; then by
 * halving. Each answer was checked.
 */
export async function findRefused(
  refused: { readonly text: ConfigText; readonly refusal: Refusal },
  suspects: readonly Suspect[],
  deps: FindRefusedDeps,
): Promise<RefusedUnits> {
  const search = new RefusedSearch(suspects, deps);
  const left = await search.leaveOutNamed(refused.text, refused.refusal);
  return left === null ? { found: search.found } : await search.halve(left);
}

/** A suspect that HAProxy does not name, and the units that have to be left out to leave out the suspect. */
interface Other {
  readonly suspect: Suspect;
  readonly units: readonly QuarantineUnit[];
}

class RefusedSearch {
  readonly #suspects: readonly Suspect[];
  readonly #byService: ReadonlyMap<string, Suspect>;
  readonly #deps: FindRefusedDeps;
  readonly #named = new Map<string, { readonly unit: QuarantineUnit; readonly message: string }>();
  #checksLeft = mostChecks;
  readonly #exhausted = (): boolean => this.#checksLeft <= 0;

  constructor(suspects: readonly Suspect[], deps: FindRefusedDeps) {
    this.#suspects = suspects;
    this.#byService = new Map(suspects.map((suspect) => [suspect.service, suspect]));
    this.#deps = deps;
  }

  /** The units that HAProxy named. */
  get found(): Map<QuarantineUnit, string> {
    return new Map([...this.#named.values()].map(({ unit, message }) => [unit, message]));
  }

  /** Leaves out the units that the messages name, until no message names another. @returns null when the rest is accepted */
  async leaveOutNamed(text: ConfigText, refusal: Refusal): Promise<Refusal | null> {
    let refused: Refusal | null = refusal;
    let about = text;
    while (refused !== null && !this.#exhausted()) {
      const before = this.#named.size;
      for (const { line, message } of refused.findings) {
        const unit = line === undefined ? undefined : unitAt(about.locate(line), this.#byService);
        if (unit !== undefined && !this.#named.has(keyOf(unit))) this.#named.set(keyOf(unit), { unit, message });
      }
      if (this.#named.size === before) break;
      about = this.#deps.textWithout(leftOut([...this.found.keys()]));
      this.#checksLeft -= 1;
      refused = await this.#deps.check(about);
    }
    return refused;
  }

  /** Halves the services that are not named, then the shapes of the servers in each service that is refused. */
  async halve({ message }: Refusal): Promise<RefusedUnits> {
    const found = this.found;
    const others = this.#suspects
      .filter(({ service }) => !this.#named.has(keyOf({ service })))
      .filter(({ hasNewOptions, shapes }) => hasNewOptions || shapes.length > 0)
      .map((suspect): Other => ({ suspect, units: unitsOf(suspect) }));
    const withoutAll = await this.#attempt(others.flatMap(({ units }) => units));
    if (withoutAll !== null) return { everything: withoutAll };
    const { refused } = await isolate(
      others,
      (included) => this.#attempt(others.filter((other) => !included.includes(other)).flatMap(({ units }) => units)),
      { message, exhausted: this.#exhausted },
    );
    for (const [other, said] of refused) {
      const rest = [...refused.keys()].filter((another) => another !== other).flatMap(({ units }) => units);
      for (const [unit, why] of await this.#halveService(other.suspect, { rest, message: said })) found.set(unit, why);
    }
    return { found };
  }

  /** What of a service is refused: its options, or servers of some shapes. `rest`: the other refused units. */
  async #halveService(
    { service, hasNewOptions, shapes }: Suspect,
    { rest, message }: { readonly rest: readonly QuarantineUnit[]; readonly message: string },
  ): Promise<ReadonlyMap<QuarantineUnit, string>> {
    const servers = shapes.map((shape): QuarantineUnit => ({ service, shape }));
    const withoutServers = hasNewOptions ? await this.#attempt([...rest, ...servers]) : null;
    if (withoutServers !== null) return new Map([[{ service }, withoutServers]]);
    const { refused } = await isolate(
      servers,
      (included) => this.#attempt([...rest, ...servers.filter((unit) => !included.includes(unit))]),
      { message, exhausted: this.#exhausted },
    );
    return refused;
  }

  /** Checks the text without the named units and without these. @returns null when it is accepted, else the message */
  async #attempt(units: readonly QuarantineUnit[]): Promise<string | null> {
    this.#checksLeft -= 1;
    const refusal = await this.#deps.check(this.#deps.textWithout(leftOut([...this.found.keys(), ...units])));
    return refusal?.message ?? null;
  }
}

/** Leaving out a service's new options leaves out its new servers with them. */
function unitsOf({ service, hasNewOptions, shapes }: Suspect): readonly QuarantineUnit[] {
  return hasNewOptions ? [{ service }] : shapes.map((shape) => ({ service, shape }));
}

function unitAt(owner: LineOwner | undefined, suspects: ReadonlyMap<string, Suspect>): QuarantineUnit | undefined {
  const suspect = owner && suspects.get(owner.service);
  if (owner === undefined || suspect === undefined) return undefined;
  const { service, shape } = owner;
  if (shape !== undefined && suspect.shapes.includes(shape)) return { service, shape };
  return suspect.hasNewOptions ? { service } : undefined;
}

function leftOut(units: readonly QuarantineUnit[]): LeftOut {
  return {
    services: new Set(units.filter(({ shape }) => shape === undefined).map(({ service }) => service)),
    shapes: new Set(units.map(({ shape }) => shape).filter((shape) => shape !== undefined)),
  };
}

function keyOf({ service, shape }: QuarantineUnit): string {
  return JSON.stringify([service, shape ?? null]);
}
