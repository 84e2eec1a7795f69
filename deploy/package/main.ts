/**
 * `npm run package [-- FOLDER]`: writes the package as it is published, default `dist/package`; `npm pack` in there makes
 * the file for npm. `--bare`: without manuals, as in the images. `--program nerve`, or `synapse`: only this program.
 */
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makePackage } from './make-package.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { bare: { type: 'boolean' }, program: { type: 'string' } },
});
const { program } = values;
if (program !== undefined && program !== 'nerve' && program !== 'synapse') {
  throw new Error(`--program ${program}: must be nerve or synapse`);
}
const root = process.cwd();
const folder = resolve(positionals[0] ?? join(root, 'dist/package'));
if (positionals.length === 0) await rm(folder, { recursive: true, force: true });
await makePackage(folder, { root, bare: values.bare === true, ...(program !== undefined && { programs: [program] }) });
process.stdout.write(`${folder}\n`);
