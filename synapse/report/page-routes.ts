import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { type ReadRoute, sendText } from '../../common/admin/routes.ts';
import { builtFolder } from '../../common/place.ts';

/** Files of the page that are not built, by path. */
const files = [
  { path: '/', file: 'synapse/page/index.html', type: 'text/html; charset=utf-8' },
  { path: '/page.css', file: 'synapse/page/page.css', type: 'text/css; charset=utf-8' },
] as const;

/** The module that the page loads. */
const mainModule = 'synapse/page/main.js';

/** Only our own files run and load in the page, whatever a record in the registry says. */
const contentPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The live page at `/`, as it is in the package. @throws when a file of it is missing */
export function pageRoutes(): Readonly<Record<string, ReadRoute>> {
  const packageRoot = new URL('../', builtFolder);
  const served = [
    ...files.map(({ path, file, type }) => ({ path, type, text: readFileSync(new URL(file, packageRoot), 'utf8') })),
    ...[...modulesOf(mainModule)].map(([name, text]) => ({
      path: `/${name}`,
      type: 'text/javascript; charset=utf-8',
      text,
    })),
  ];
  return Object.fromEntries(served.map(({ path, type, text }) => [path, textRoute(text, type)]));
}

/**
 * A module and all that it imports, directly or not, by path in the built folder: each is served under that path, so that
 * the imports find it. In the published package the page is one module.
 */
function modulesOf(first: string): ReadonlyMap<string, string> {
  const modules = new Map<string, string>();
  const read = (name: string): void => {
    if (modules.has(name)) return;
    const text = readFileSync(new URL(name, builtFolder), 'utf8');
    modules.set(name, text);
    for (const [, imported = ''] of text.matchAll(/^(?:import|export)\b[^;'"]*?['"](\.\.?\/[^'"]+)['"];$/gm)) {
      read(posix.join(posix.dirname(name), imported));
    }
  };
  read(first);
  return modules;
}

function textRoute(text: string, type: string): ReadRoute {
  return (_, response) => {
    response.setHeader('Content-Security-Policy', contentPolicy);
    response.setHeader('Referrer-Policy', 'no-referrer');
    sendText(response, 200, text, type);
  };
}
