import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A library that is part of the bundle. */
interface Library {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  /** The text of its licence; undefined when its package has none. */
  readonly text: string | undefined;
}

/** The text of the file that names all libraries in the bundle, with their licences. */
export async function thirdPartyNotices(root: string, modules: ReadonlySet<string>): Promise<string> {
  const folders = new Set([...modules].flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []));
  // The protocol files are copied, not bundled.
  folders.add('node_modules/etcd3');
  const libraries = await Promise.all([...folders].sort().map((folder) => readLibrary(join(root, folder))));
  const parts = libraries.map(({ name, version, license, text }) => {
    return `${name} ${version} (${license})\n${text === undefined ? '' : `\n${text.trim()}\n`}`;
  });
  const head = 'nerve and synapse contain these libraries. Each comes under its own licence.\n';
  return [head, ...parts].join(`\n${'-'.repeat(80)}\n\n`);
}

async function readLibrary(folder: string): Promise<Library> {
  const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const file = (await readdir(folder)).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
  if (typeof license !== 'string') throw new Error(`${folder}/package.json names no licence`);
  return { name, version, license, text: file === undefined ? undefined : await readFile(join(folder, file), 'utf8') };
}
