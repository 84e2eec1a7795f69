import { interfaces } from './declarations.ts';

/** What the package has of the package.json of the checkout. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly keywords: readonly string[];
  readonly engines: Readonly<Record<string, string>>;
}

/**
 * The package.json of the published package. It has no dependencies, because the programs contain their libraries, and only
 * types to import, because it is two programs.
 */
export function publishedManifest({ name, version, description, license, keywords, engines }: Manifest): object {
  return {
    ...{ name, version, description, license, keywords },
    type: 'module',
    engines,
    bin: { nerve: 'dist/nerve/main.js', synapse: 'dist/synapse/main.js' },
    man: ['dist/man/nerve.1', 'dist/man/synapse.1'],
    exports: {
      ...Object.fromEntries(
        Object.entries(interfaces).map(([name, path]) => [name, { types: `./types/${path}.d.ts` }]),
      ),
      './schemas/*': './schemas/*',
      './package.json': './package.json',
    },
  };
}
