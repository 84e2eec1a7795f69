import { existsSync, readFileSync } from 'node:fs';
import { type ReadRoute, sendText } from '../../common/admin/routes.ts';

const types = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
} as const;

const files = [
  'index.html',
  'page.css',
  'main.js',
  'connection.js',
  'detail.js',
  'dom.js',
  'list.js',
  'rates.js',
  'services.js',
  'timeline.js',
  'verdict.js',
  'words.js',
] as const;

/** Nothing but our own files runs or is loaded, whatever a record in the registry says. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The live page at `/`, as it lies in the package. @throws when a file of it is missing */
export function pageRoutes(): Readonly<Record<string, ReadRoute>> {
  return Object.fromEntries(
    files.map((name) => {
      const text = readPage(name);
      const type = types[name.slice(name.lastIndexOf('.') + 1) as keyof typeof types];
      const route: ReadRoute = (_, response) => {
        response.setHeader('Content-Security-Policy', policy);
        response.setHeader('Referrer-Policy', 'no-referrer');
        sendText(response, 200, text, type);
      };
      return [name === 'index.html' ? '/' : `/${name}`, route];
    }),
  );
}

function readPage(name: string): string {
  return readFileSync(pageFile(name), 'utf8');
}

/** Where a file of the page lies: not built, beside the sources, also for what is in `dist/`. @throws when it is missing */
export function pageFile(name: string): URL {
  for (const folder of ['../page/', '../../../synapse/page/']) {
    const url = new URL(`${folder}${name}`, import.meta.url);
    if (existsSync(url)) return url;
  }
  throw new Error(`synapse/page/${name} is missing in the package`);
}
