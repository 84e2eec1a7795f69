import assert from 'node:assert/strict';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { posix } from 'node:path';
import { describe, it } from 'node:test';
import { pageRoutes } from '../../../synapse/report/page-routes.ts';

/** The body that a route answers with. */
async function bodyOf(path: string): Promise<string> {
  const route = pageRoutes()[path];
  assert.ok(route !== undefined, `${path} is not served`);
  const response = new ServerResponse(new IncomingMessage(new Socket()));
  let body = '';
  response.end = ((text: string) => {
    body = text;
    return response;
  }) as typeof response.end;
  await route(response.req, response);
  return body;
}

describe('the routes of the live page', () => {
  it('serve every file and module that the page loads, and no other', async () => {
    const page = await bodyOf('/');
    const loaded = new Set(['/']);
    const waiting = [...page.matchAll(/(?:src|href)="([a-z/.-]+\.(?:js|css))"/g)].map(([, path]) => `/${path}`);
    for (const path of waiting) {
      if (loaded.has(path)) continue;
      loaded.add(path);
      const imports = [...(await bodyOf(path)).matchAll(/^(?:import|export) .*?from '(\.[^']+)';$/gm)];
      waiting.push(...imports.map(([, name = '']) => posix.join(posix.dirname(path), name)));
    }
    assert.deepEqual([...loaded].sort(), Object.keys(pageRoutes()).sort());
  });
});
