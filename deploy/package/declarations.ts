import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, normalize, relative } from 'node:path';
import { exec } from '../../common/daemon/exec.ts';

/** What files of users may import types from, by its name in `exports`: `import type { UserSource } from 'smartstack/source'`. */
export const interfaces: Readonly<Record<string, string>> = {
  './check': 'nerve/user-check',
  './source': 'synapse/user-source',
  './resolver': 'synapse/discovery/multi/resolver',
};

/** Of the type checker, which reads the whole project, milliseconds. */
const timeoutMs = 300_000;

/** Writes the declarations of the {@link interfaces} and of what they need to the folder `to`. @throws when they need a package */
export async function writeDeclarations(root: string, to: string): Promise<void> {
  const made = await mkdtemp(join(tmpdir(), 'declarations-'));
  try {
    const project = join(made, 'tsconfig.json');
    const files = Object.values(interfaces).map((path) => join(root, `${path}.ts`));
    const compilerOptions = { outDir: made, rootDir: root, typeRoots: [join(root, 'node_modules/@types')] };
    const config = { extends: join(root, 'deploy/package/tsconfig.types.json'), compilerOptions, files };
    await writeFile(project, JSON.stringify(config));
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const { code, stdout, stderr } = await exec([process.execPath, tsc, '-p', project], { timeoutMs, cwd: root });
    if (code !== 0) throw new Error(`the declarations cannot be made: ${stdout}${stderr}`);
    await copyNeeded(made, to);
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

async function copyNeeded(made: string, to: string): Promise<void> {
  const done = new Set<string>();
  const copy = async (file: string): Promise<void> => {
    if (done.has(file)) return;
    done.add(file);
    // A declaration names other files as Node does, by what they are at run time.
    const text = (await readFile(file, 'utf8')).replace(/(from ['"]\.[^'"]*)\.ts(['"])/g, '$1.js$2');
    for (const [, from = ''] of text.matchAll(/(?:from |import\()['"]([^'"]+)['"]/g)) {
      if (!from.startsWith('.')) throw new Error(`${relative(made, file)} needs ${from}, which users do not have`);
      await copy(normalize(join(dirname(file), from.replace(/\.js$/, '.d.ts'))));
    }
    const target = join(to, relative(made, file));
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, text);
  };
  for (const path of Object.values(interfaces)) await copy(join(made, `${path}.d.ts`));
}
