/**
 * `npm run package [-- FOLDER]`: writes the package as it is published, default `dist/package`; `npm pack` in there makes
 * the file for npm. `--bare`: without manuals, as in the images.
 */
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makePackage } from './make-package.ts';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { bare: { type: 'boolean' } } });
const root = process.cwd();
const folder = resolve(positionals[0] ?? join(root, 'dist/package'));
if (positionals.length === 0) await rm(folder, { recursive: true, force: true });
await makePackage(folder, { root, bare: values.bare === true });
process.stdout.write(`${folder}\n`);
