import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { type ModuleInfo, type OutputAsset, type OutputChunk, rolldown } from 'rolldown';
import { packedProtocol, parseProtocol } from '../../common/etcd/client/protocol.ts';
import { layerOf } from './layers.ts';

/** The folders whose files are loaded by their names: each file stays a file of its own. */
const pluginFolders = ['nerve/checks', 'synapse/discovery/sources', 'synapse/discovery/multi/resolvers'] as const;

/** A program that is shipped; its folder in the checkout has the same name. */
export type ProgramName = 'nerve' | 'synapse';

/**
 * Writes programs of the checkout `root` to the folder `dist`, with all libraries that they use: a few files, of which
 * a program loads those that its command or its configuration needs.
 * @returns the paths of the modules in them
 */
export async function bundle(root: string, dist: string, names: readonly ProgramName[]): Promise<ReadonlySet<string>> {
  const folders = pluginFolders.filter((folder) => names.some((name) => folder.startsWith(`${name}/`)));
  const plugins = await Promise.all(folders.map((folder) => pluginFiles(root, folder)));
  const entries = [...names.map((name) => `${name}/main`), ...plugins.flat()];
  const programs = await rolldown({
    cwd: root,
    input: Object.fromEntries(entries.map((name) => [name, join(root, `${name}.ts`)])),
    platform: 'node',
    // Nothing in it changes what a module means.
    tsconfig: false,
    // Some libraries have a CommonJS form that no bundler can follow, and another one beside it.
    resolve: { mainFields: ['module', 'main'] },
    // A part of pg that it uses only when users have installed it, and what gRPC needs for services about itself, which we
    // do not have.
    external: ['pg-native', '@grpc/proto-loader'],
    // Some libraries load what helps their developers otherwise.
    transform: { define: { 'process.env.NODE_ENV': "'production'" } },
    // The exports of a file that others load by its name are those of its source.
    preserveEntrySignatures: 'allow-extension',
    logLevel: 'warn',
    // A command may be used by another one as well.
    checks: { ineffectiveDynamicImport: false },
  });
  let layers: ((module: string) => string | undefined) | undefined;
  const { output } = await programs.write({
    dir: dist,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
    // Names stay as they are, so that stack traces can be read.
    minify: { mangle: false, compress: false, codegen: { removeWhitespace: true } },
    comments: { legal: false, annotation: false, jsdoc: false },
    // The maps name the lines of our files; their text is in the repository, and that of libraries in their packages.
    sourcemap: true,
    sourcemapExcludeSources: true,
    strictExecutionOrder: true,
    codeSplitting: {
      includeDependenciesRecursively: false,
      groups: [
        {
          debugName: 'layers',
          name: (id, context) => {
            layers ??= layerOf((module) => importsOf(context.getModuleInfo(module)), root);
            return layers(id) ?? null;
          },
        },
      ],
    },
  });
  await programs.close();
  await removeForeignMaps(dist, output);
  const pageOutput = names.includes('synapse') ? await bundlePage(root, dist) : [];
  await mkdir(join(dist, dirname(packedProtocol)));
  await writeFile(join(dist, packedProtocol), JSON.stringify(parseProtocol()));
  const chunks = [...output, ...pageOutput].filter((file): file is OutputChunk => file.type === 'chunk');
  return new Set(chunks.flatMap(({ modules }) => Object.keys(modules)).map((module) => relative(root, module)));
}

/** The script of synapse's live page, for browsers. */
async function bundlePage(root: string, dist: string): Promise<readonly (OutputChunk | OutputAsset)[]> {
  const page = await rolldown({
    cwd: root,
    input: join(root, 'synapse/page/main.ts'),
    platform: 'browser',
    tsconfig: false,
  });
  const { output } = await page.write({ file: join(dist, 'synapse/page/main.js'), format: 'esm' });
  await page.close();
  return output;
}

function importsOf(module: ModuleInfo | null): readonly string[] {
  return module?.importedIds ?? [];
}

async function pluginFiles(root: string, folder: string): Promise<readonly string[]> {
  const names = await readdir(join(root, folder));
  return names.filter((name) => name.endsWith('.ts')).map((name) => `${folder}/${name.slice(0, -'.ts'.length)}`);
}

/** Removes the maps of files that are made of libraries only: they are larger than the maps of our own files. */
async function removeForeignMaps(dist: string, output: readonly (OutputChunk | OutputAsset)[]): Promise<void> {
  for (const file of output) {
    if (file.type !== 'chunk' || !Object.keys(file.modules).every((id) => id.includes('node_modules/'))) continue;
    await rm(join(dist, `${file.fileName}.map`), { force: true });
  }
}
