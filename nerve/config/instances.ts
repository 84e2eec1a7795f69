import { joinPath, type Problem } from '../../common/config/config.ts';
import { formats, isObject } from '../../common/config/formats.ts';

/** One instance that an entry of `services` asks for. */
export interface Entry {
  /** Unique on this host: the service's name, or that with what tells its instances apart. */
  readonly name: string;
  /** As in the file. */
  readonly service: string;
  /** The options of this instance, not yet validated. */
  readonly value: unknown;
  /** What is appended to the name that it is announced with. */
  readonly suffix: string;
  /** Where its own options stand: `services.api`, `services.api.instances[1]`. */
  readonly path: string;
  /** Where the options stand that it shares with the other instances, and which those are. */
  readonly parent: string;
  readonly inherited: readonly string[];
}

/** More copies than this are a mistake; SmartStack had no limit. */
const maxCopies = 10_000;

/**
 * The instances of one entry of `services`: one; one for each of its `instances`, which say in what they differ from the
 * entry; and, to put load on a registry, `load_test_concurrency` copies of each.
 */
export function expandService(
  service: string,
  value: unknown,
  at: { readonly path: string; readonly problems: Problem[] },
): readonly Entry[] {
  const { path, problems } = at;
  if (!isObject(value)) return [{ name: service, service, value, suffix: '', path, parent: path, inherited: [] }];
  const { instances, load_test_concurrency: copies, ...common } = value;
  const entries =
    instances === undefined ? [{ name: service, value: common, path, parent: path, inherited: [] }] : readInstances();
  const count = copies === undefined ? undefined : readCopies();
  return entries.flatMap((entry) => {
    if (count === undefined) return [{ ...entry, service, suffix: '' }];
    const suffixes = Array.from({ length: count }, (_, i) => `_${i}`);
    return suffixes.map((suffix) => ({ ...entry, service, suffix, name: entry.name + suffix }));
  });

  function readInstances(): readonly Omit<Entry, 'service' | 'suffix'>[] {
    const place = joinPath(path, 'instances');
    if (!Array.isArray(instances) || instances.length === 0) {
      problems.push({ path: place, message: 'must be a list of instances, such as [{"port": 3000}, {"port": 3001}]' });
      return [];
    }
    const taken = new Set<string>();
    return instances.flatMap((item, i) => {
      const itemPath = joinPath(place, i);
      if (!isObject(item)) {
        problems.push({ path: itemPath, message: 'must be an object of options in which this instance differs' });
        return [];
      }
      // Not the index: an instance put first in the list would rename all the others.
      const own = `${service}:${item.port ?? i}`;
      const name = taken.has(own) ? `${own}-${i}` : own;
      taken.add(name);
      const inherited = Object.keys(common).filter((key) => !Object.hasOwn(item, key));
      return [{ name, value: { ...common, ...item }, path: itemPath, parent: path, inherited }];
    });
  }

  function readCopies(): number {
    try {
      const number = formats['positive-integer'](copies) as number;
      if (number <= maxCopies) return number;
    } catch {
      // Said below.
    }
    const message = `must be a whole number from 1 to ${maxCopies}`;
    problems.push({ path: joinPath(path, 'load_test_concurrency'), message });
    return 1;
  }
}

/** Adds what is wrong with an instance, where the option stands: in the instance, or, once, in the entry it belongs to. */
export function addProblems(found: readonly Problem[], entry: Entry, problems: Problem[]): void {
  for (const problem of found) {
    const key = entry.inherited.find((name) => isBelow(problem.path, joinPath(entry.path, name)));
    const path =
      key === undefined
        ? problem.path
        : joinPath(entry.parent, key) + problem.path.slice(joinPath(entry.path, key).length);
    // A warning says of itself that it holds wherever it is.
    const once = problem.severity === 'warning';
    if (problems.some((other) => other.message === problem.message && (once || other.path === path))) continue;
    problems.push({ ...problem, path });
  }
}

function isBelow(path: string, parent: string): boolean {
  return path === parent || path.startsWith(`${parent}.`) || path.startsWith(`${parent}[`);
}
