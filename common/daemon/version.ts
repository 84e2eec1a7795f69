import { readFileSync } from 'node:fs';

/** The version in package.json. It is above the built files; and next to the sources' folder when they run as they are. */
export function packageVersion(): string {
  for (const path of ['../../../package.json', '../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
      if (name === 'smartstack' && typeof version === 'string') return version;
    } catch {
      // Not there: look at the next place.
    }
  }
  return 'unknown';
}
