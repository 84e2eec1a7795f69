import { readFileSync } from 'node:fs';
import { builtFolder } from '../place.ts';

/** The version in package.json: above the built files in `dist/`, or beside the sources when they run unbuilt. */
export function packageVersion(): string {
  for (const path of ['../package.json', 'package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, builtFolder), 'utf8'));
      if (name === 'smartstack' && typeof version === 'string') return version;
    } catch {
      // Not here: try the next place.
    }
  }
  return 'unknown';
}
