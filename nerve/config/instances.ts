import { joinPath, type Problem } from '../../common/config/config.ts';
import { formats, isObject } from '../../common/config/formats.ts';

/** One instance that an entry of `services` describes. */
export interface InstanceEntry {
  /** Unique in this nerve: the service's name, with the port or a number where the service has several instances. */
  readonly name: string;
  /** The service's name in the file. */
  readonly service: string;
  /** The options of this instance, not yet validated. */
  readonly value: unknown;
  /** Text to append to the instance id. */
  readonly suffix: string;
  /** The path of its own options: `services.api`, `services.api.instances[1]`. */
  readonly path: string;
  /** The path of the options that all instances share. */
  readonly parent: string;
  /** The shared options that this instance does not set itself. */
  readonly inherited: readonly string[];
}

/** More copies than this are a mistake. SmartStack has no limit. */
const maxCopies = 10_000;

/**
 * The instances of one entry of `services`: one, or one for each item of its `instances`, whose options override those
 * of the entry. `load_test_concurrency` copies of each put load on a registry.
 */
export function expandService(
  service: string,
  value: unknown,
  at: { readonly path: string; readonly problems: Problem[] },
): readonly InstanceEntry[] {
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

  function readInstances(): readonly Omit<InstanceEntry, 'service' | 'suffix'>[] {
    const place = joinPath(path, 'instances');
    if (!Array.isArray(instances) || instances.length === 0) {
      problems.push({ path: place, message: 'must be a list of instances, such as [{"port": 3000}, {"port": 3001}]' });
      return [];
    }
    const taken = new Set<string>();
    return instances.flatMap((item, i) => {
      const itemPath = joinPath(place, i);
      if (!isObject(item)) {
        problems.push({ path: itemPath, message: 'must be an object of the options that this instance overrides' });
        return [];
      }
      // The port, not the index: an instance inserted at the top of the list must not rename all the others.
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
      // Reported below.
    }
    const message = `must be a whole number from 1 to ${maxCopies}`;
    problems.push({ path: joinPath(path, 'load_test_concurrency'), message });
    return 1;
  }
}

/** Adds the problems of an instance. The problem of a shared option is reported once, at the path of that option. */
export function addProblems(found: readonly Problem[], entry: InstanceEntry, problems: Problem[]): void {
  for (const problem of found) {
    const key = entry.inherited.find((name) => isBelow(problem.path, joinPath(entry.path, name)));
    const path =
      key === undefined
        ? problem.path
        : joinPath(entry.parent, key) + problem.path.slice(joinPath(entry.path, key).length);
    // The text of a warning holds for every instance.
    const once = problem.severity === 'warning';
    if (problems.some((other) => other.message === problem.message && (once || other.path === path))) continue;
    problems.push({ ...problem, path });
  }
}

function isBelow(path: string, parent: string): boolean {
  return path === parent || path.startsWith(`${parent}.`) || path.startsWith(`${parent}[`);
}
