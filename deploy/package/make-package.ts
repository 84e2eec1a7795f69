import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { manPage } from '../../common/cli/man-page.ts';
import { nerveProgram } from '../../nerve/whole-program.ts';
import { synapseProgram } from '../../synapse/whole-program.ts';
import { bundle, type ProgramName } from './bundle.ts';
import { writeDeclarations } from './declarations.ts';
import { publishedManifest } from './manifest.ts';
import { thirdPartyNotices } from './third-party.ts';

/** Files for people, beside the programs. */
const documents = ['README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE'] as const;

/** Files of the live page that are used as they are. */
const pageFiles = ['index.html', 'page.css'] as const;

/** What a package is made of. */
export interface PackageOptions {
  /** The checkout. */
  readonly root: string;
  /** Without the files for people, as in an image. */
  readonly bare: boolean;
  /** The programs in it; default: both. */
  readonly programs?: readonly ProgramName[];
}

/** Writes the package as it is published to a folder: `npm pack` there makes the file for npm. */
export async function makePackage(
  folder: string,
  { root, bare, programs = ['nerve', 'synapse'] }: PackageOptions,
): Promise<void> {
  const dist = join(folder, 'dist');
  const modules = await bundle(root, dist, programs);
  for (const program of programs) await chmod(join(dist, program, 'main.js'), 0o755);
  for (const name of programs.includes('synapse') ? pageFiles : [])
    await cp(join(root, 'synapse/page', name), join(folder, 'synapse/page', name));
  await cp(join(root, 'deploy/schemas'), join(folder, 'schemas'), { recursive: true });
  const manifest = publishedManifest(JSON.parse(await readFile(join(root, 'package.json'), 'utf8')));
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  await writeFile(join(folder, 'THIRD-PARTY-LICENSES.txt'), await thirdPartyNotices(root, modules));
  if (bare) return;
  await writeDeclarations(root, join(folder, 'types'));
  for (const name of documents) await cp(join(root, name), join(folder, name));
  await mkdir(join(dist, 'man'), { recursive: true });
  for (const program of [nerveProgram, synapseProgram].filter(({ name }) => programs.some((own) => own === name))) {
    await writeFile(join(dist, 'man', `${program.name}.1`), manPage(program));
  }
}
