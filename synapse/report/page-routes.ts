import { readFileSync } from 'node:fs';
import { type ReadRoute, sendText } from '../../common/admin/routes.ts';

/** The folder that this file is built into, `dist/`, and the package around it. */
const built = new URL('../../', import.meta.url);
const packageRoot = new URL('../', built);

/** Files of the page that are not built, by path. */
const files = [
  { path: '/', file: 'synapse/page/index.html', type: 'text/html; charset=utf-8' },
  { path: '/page.css', file: 'synapse/page/page.css', type: 'text/css; charset=utf-8' },
] as const;

/** Modules of the page and what they import. Each is served under its path in `dist/`, so that their imports find it. */
const modules = [
  'common/cli/json-shape.js',
  'common/wording.js',
  'synapse/page/connection.js',
  'synapse/page/detail.js',
  'synapse/page/dom.js',
  'synapse/page/headline.js',
  'synapse/page/list.js',
  'synapse/page/main.js',
  'synapse/page/rates.js',
  'synapse/page/services.js',
  'synapse/page/timeline.js',
  'synapse/page/words.js',
  'synapse/haproxy/statistics/health-shape.js',
  'synapse/report/event-shape.js',
  'synapse/report/found-problem.js',
  'synapse/report/haproxy-problems.js',
  'synapse/report/problem-kinds.js',
  'synapse/report/problems.js',
  'synapse/report/record-shape.js',
  'synapse/report/held-server.js',
  'synapse/report/servers-text.js',
  'synapse/report/service-notes.js',
  'synapse/report/service-problems.js',
  'synapse/report/traffic-problems.js',
] as const;

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
  const served = [
    ...files.map(({ path, file, type }) => ({ path, type, text: readFileSync(new URL(file, packageRoot), 'utf8') })),
    ...modules.map((name) => ({
      path: `/${name}`,
      type: 'text/javascript; charset=utf-8',
      text: readFileSync(new URL(name, built), 'utf8'),
    })),
  ];
  return Object.fromEntries(served.map(({ path, type, text }) => [path, textRoute(text, type)]));
}

function textRoute(text: string, type: string): ReadRoute {
  return (_, response) => {
    response.setHeader('Content-Security-Policy', contentPolicy);
    response.setHeader('Referrer-Policy', 'no-referrer');
    sendText(response, 200, text, type);
  };
}
