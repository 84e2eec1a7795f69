import { join } from 'node:path';

/** The static imports of a module; both by their absolute paths. */
export type ImportsOf = (module: string) => readonly string[];

/**
 * The files that the programs share, each with the modules that it is for: `all` of several lists of modules that need it,
 * or what `any` of them needs. A module is in the first one that it fits, with what it imports. So each start of a program
 * reads few files (a file costs about a millisecond), and none that its command does not need.
 */
const layers: readonly { readonly name: string; readonly all: readonly (readonly string[])[] }[] = [
  // The command line.
  { name: 'cli', all: [['nerve/main.ts'], ['synapse/main.ts']] },
  // Asking the running daemon, which health checks do.
  {
    name: 'ask',
    all: [
      ['nerve/commands/status.ts', 'nerve/commands/run.ts'],
      ['synapse/commands/status.ts', 'synapse/commands/run.ts'],
    ],
  },
  { name: 'nerve-ask', all: [['nerve/main.ts', 'nerve/commands/status.ts', 'nerve/commands/run.ts']] },
  { name: 'synapse-ask', all: [['synapse/main.ts', 'synapse/commands/status.ts', 'synapse/commands/run.ts']] },
  // Reading a configuration.
  { name: 'config', all: [['common/config/parse.ts', 'common/config/schema.ts']] },
  // Both daemons: etcd, the log, metrics.
  { name: 'daemon', all: [['nerve/run.ts'], ['synapse/run.ts']] },
  { name: 'nerve', all: [['nerve/run.ts']] },
  { name: 'synapse', all: [['synapse/run.ts', 'synapse/haproxy/haproxy.ts', 'synapse/haproxy/metrics.ts']] },
];

/** Tells in which shared file a module is; undefined: it stays with the module that uses it. */
export function layerOf(importsOf: ImportsOf, root: string): (module: string) => string | undefined {
  const found = new Map<string, string>();
  for (const { name, all } of layers) {
    const [first = new Set<string>(), ...others] = all.map((roots) =>
      closure(
        roots.map((path) => join(root, path)),
        importsOf,
      ),
    );
    for (const module of first) {
      if (!found.has(module) && others.every((other) => other.has(module))) found.set(module, name);
    }
  }
  return (module) => found.get(module);
}

function closure(roots: readonly string[], importsOf: ImportsOf): ReadonlySet<string> {
  const seen = new Set<string>();
  const visit = (module: string): void => {
    if (seen.has(module)) return;
    seen.add(module);
    importsOf(module).forEach(visit);
  };
  roots.forEach(visit);
  return seen;
}
