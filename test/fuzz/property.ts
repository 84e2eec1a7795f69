import { readdirSync } from 'node:fs';
import { inspect } from 'node:util';
import fc from 'fast-check';

/** What holds for all values of some kind, and how values of that kind are made. A file `*.fuzz.ts` exports `properties`. */
export interface FuzzProperty {
  /** A full sentence. */
  readonly title: string;
  /** How many cases `npm test` tries. */
  readonly cases: number;
  /** Prepares what the cases need. */
  open(): Promise<OpenProperty>;
}

/** A property that can be tried. */
export interface OpenProperty {
  readonly property: fc.IRawProperty<unknown>;
  /** Follows the last case. */
  close?(): Promise<void>;
}

/** A property of synchronous code that needs nothing but its values. `holds` throws when the property does not hold. */
export function property<T>(
  title: string,
  values: fc.Arbitrary<T>,
  holds: (value: T) => void,
  { cases = 300 }: { readonly cases?: number } = {},
): FuzzProperty {
  const made = fc.property(values, holds) as fc.IRawProperty<unknown>;
  return { title, cases, open: () => Promise.resolve({ property: made }) };
}

/** A property that needs `resource` for all of its cases, such as a folder or a program that runs. */
export function propertyWith<R, T>(
  title: string,
  resource: { open(): Promise<R>; close(resource: R): Promise<void> },
  values: fc.Arbitrary<T>,
  holds: (value: T, resource: R) => Promise<void>,
  { cases }: { readonly cases: number },
): FuzzProperty {
  const open = async (): Promise<OpenProperty> => {
    const opened = await resource.open();
    return {
      property: fc.asyncProperty(values, (value) => holds(value, opened)) as fc.IRawProperty<unknown>,
      close: () => resource.close(opened),
    };
  };
  return { title, cases, open };
}

/** A property with the file that has it, such as `published.fuzz: a published document …`. */
export interface NamedProperty extends FuzzProperty {
  readonly name: string;
}

/** The folder with the properties, as an address. */
export const fuzzFolder = new URL('.', import.meta.url).href;

/** The properties of all files `*.fuzz.ts` of a folder, in the order of their names. @throws when two have one name */
export async function allProperties(folder = fuzzFolder): Promise<readonly NamedProperty[]> {
  const files = readdirSync(new URL(folder)).filter((file) => file.endsWith('.fuzz.js'));
  const found: NamedProperty[] = [];
  for (const file of files.sort()) {
    const module: unknown = await import(new URL(file, folder).href);
    const { properties } = module as { readonly properties: readonly FuzzProperty[] };
    for (const each of properties) found.push({ ...each, name: `${file.replace('.js', '')}: ${each.title}` });
  }
  const names = new Set(found.map(({ name }) => name));
  if (names.size < found.length) throw new Error('two properties of one file have the same title');
  return found;
}

/** How the cases of one seed went. */
export interface SeedReport {
  /** How many cases were tried before the end or the failure. */
  readonly cases: number;
  /** What failed, with the command that repeats it; null when the property held. */
  readonly failure: string | null;
}

/** Limits of the cases of one seed. `path` repeats a single case of it. */
export interface SeedLimits {
  readonly seed: number;
  readonly cases: number;
  readonly path?: string;
  /** No case begins after this time, milliseconds. */
  readonly limitMs?: number;
}

/** Tries cases that depend on the seed alone. */
export async function trySeed(tried: NamedProperty, { seed, cases, path, limitMs }: SeedLimits): Promise<SeedReport> {
  const { property: opened, close } = await tried.open();
  try {
    const details = await fc.check(opened, {
      seed,
      numRuns: cases,
      ...(path !== undefined && { path }),
      ...(limitMs !== undefined && { interruptAfterTimeLimit: limitMs, markInterruptAsFailure: false }),
    });
    // The library also calls it a failure when the time is over before the first case.
    const failed = details.failed && !(details.interrupted && details.counterexample === null);
    return { cases: details.numRuns, failure: failed ? failureOf(tried, details) : null };
  } finally {
    await close?.();
  }
}

function failureOf({ name }: NamedProperty, details: fc.RunDetails<unknown>): string {
  const { seed, counterexamplePath, counterexample, errorInstance, numShrinks } = details;
  const error = errorInstance instanceof Error ? errorInstance.stack : String(errorInstance);
  const repeat = `npm run fuzz -- --only ${JSON.stringify(name)} --seed ${seed} --path ${counterexamplePath}`;
  const value = inspect(counterexample, { depth: null, maxStringLength: 4_000, maxArrayLength: 200, breakLength: 120 });
  return `${name}\n  repeat: ${repeat}\n  value (${numShrinks} times made simpler): ${value}\n  ${error}`;
}
