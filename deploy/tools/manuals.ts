import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { manPage } from '../../common/cli/man-page.ts';
import { nerveProgram } from '../../nerve/whole-program.ts';
import { synapseProgram } from '../../synapse/whole-program.ts';

// Part of the build, because the package and the archive have the manuals.
const folder = fileURLToPath(new URL('../../man/', import.meta.url));
await mkdir(folder, { recursive: true });
for (const program of [nerveProgram, synapseProgram]) {
  await writeFile(join(folder, `${program.name}.1`), manPage(program));
}
