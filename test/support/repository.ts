import { fileURLToPath } from 'node:url';

// Seen from this file as it is built, in dist/test/support/.
const rootUrl = new URL('../../../', import.meta.url);
const builtUrl = new URL('dist/', rootUrl);

/** The folder of the repository, with a slash at its end. */
export const root = fileURLToPath(rootUrl);

/** The path of a built file, such as `nerve/main.js`. */
export function builtFile(path: string): string {
  return fileURLToPath(new URL(path, builtUrl));
}

/** The address of a built module, such as `common/file.js`, to import it in a program of a test. */
export function builtModule(path: string): string {
  return new URL(path, builtUrl).href;
}
