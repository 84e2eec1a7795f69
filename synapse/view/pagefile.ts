import { existsSync } from 'node:fs';

/** Where a file of the page lies: not built, beside the sources, also for what is in `dist/`. @throws when it is missing */
export function pageFile(name: string): URL {
  for (const folder of ['../page/', '../../../synapse/page/']) {
    const url = new URL(`${folder}${name}`, import.meta.url);
    if (existsSync(url)) return url;
  }
  throw new Error(`synapse/page/${name} is missing in the package`);
}
