import assert from 'node:assert/strict';
import fc from 'fast-check';
import { pageRoutes } from '../../synapse/report/page-routes.ts';
import { type AdminServers, openAdminServers, type Surface } from '../support/daemons/admin-servers.ts';
import { answersIn, exchange, type Received } from '../support/servers/raw-http.ts';
import { propertyWith } from './property.ts';

const read = ['/healthz', '/readyz', '/metrics', '/api/v1/state'];
const api = ['/api/v1/summary', '/api/v1/service', '/api/v1/haproxy', '/api/v1/explain'];
const events = ['/api/v1/events', '/api/v1/events/stream'];
const drains = ['/api/v1/drain', '/api/v1/undrain'];
const known: Readonly<Record<Surface, readonly string[]>> = {
  synapse: [...read, ...api, ...events, ...Object.keys(pageRoutes())],
  nerve: read,
  'nerve socket': [...read, ...drains],
};

/** A word that no answer has in its head. */
const mark = 'zqx-Mark';
const visible = fc.string({
  unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
  maxLength: 12,
});
const odd = fc.oneof(
  visible,
  fc.constantFrom(
    '',
    '__proto__',
    'constructor',
    'toString',
    'api',
    '..',
    '%2e%2e',
    '%00',
    '%0d%0aX-A:1',
    '%',
    '<script>',
    '/',
    '//',
    '\\',
  ),
);
const path = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...new Set(Object.values(known).flat())) },
  { weight: 1, arbitrary: odd.map((part) => `/${part}`) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...read, ...api), odd).map((parts) => parts.join('')) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(`/${mark}`, '*', 'http://127.0.0.1/healthz', '//evil.example/healthz', '/healthz/'),
  },
);
const query = fc.oneof(
  { weight: 2, arbitrary: fc.constant('') },
  fc
    .tuple(fc.constantFrom('service', 'name', 'since', 'servers', mark), fc.oneof(odd, fc.constant('all')))
    .map(([key, value]) => `?${key}=${value}`),
);
const method = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('GET', 'GET', 'HEAD', 'POST') },
  fc.constantFrom('PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'SEARCH', 'PURGE'),
);
const hosts = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('127.0.0.1', 'localhost', '[::1]:80') },
  fc.constantFrom('evil.example', mark, '', '127.0.0.1.evil.example', 'a b', '@', '[', '*'),
);
const header = fc.oneof(
  fc.constantFrom<readonly [string, string]>(
    ['Accept', 'text/event-stream'],
    ['Accept', '*/*'],
    ['Origin', 'http://evil.example'],
    ['Range', 'bytes=0-1'],
    ['If-None-Match', '*'],
  ),
  visible.map((value) => ['Last-Event-ID', value] as const),
  visible.map((value) => [`X-${mark}`, value] as const),
);
const content = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  fc.constantFrom(
    '{}',
    'null',
    '[]',
    '{',
    '{"service":"nope"}',
    '{"service":7}',
    '{"service":"__proto__"}',
    '{"service":"api","instance":"nope"}',
    'x'.repeat(70_000),
    '['.repeat(60_000),
  ),
  fc.jsonValue().map((value) => JSON.stringify(value)),
);

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly host: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}
const sent: fc.Arbitrary<Sent> = fc.record({
  method,
  path,
  query,
  host: hosts,
  headers: fc.array(header, { maxLength: 3 }),
  body: content,
});
const surface = fc.constantFrom<Surface>('synapse', 'nerve', 'nerve socket');
const last: Sent = {
  method: 'GET',
  path: '/healthz',
  query: '',
  host: '127.0.0.1',
  headers: [['Connection', 'close']],
  body: '',
};

function textOf({ method: verb, path: at, query: more, host, headers, body }: Sent): string {
  const length: readonly (readonly [string, string])[] =
    body === '' ? [] : [['Content-Length', String(Buffer.byteLength(body))]];
  const lines = [...[['Host', host] as const], ...headers, ...length].map(([name, value]) => `${name}: ${value}\r\n`);
  return `${verb} ${at}${more} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}

const types =
  /^Content-Type: (text\/plain; charset=utf-8|text\/plain; version=0\.0\.4; charset=utf-8|application\/json|text\/(html|css|javascript); charset=utf-8|text\/event-stream)\r$/m;
const names =
  /^(Content-Type|Content-Length|Cache-Control|X-Content-Type-Options|X-Accel-Buffering|Allow|Date|Connection|Keep-Alive|Transfer-Encoding|Content-Security-Policy|Referrer-Policy)$/;

function assertSafe({ head, body }: Received, isHead: boolean): void {
  for (const line of head.split('\r\n').slice(0, -1)) assert.match(line.slice(0, line.indexOf(':')), names);
  assert.ok(!head.includes(mark), 'a head repeats nothing of a request');
  assert.match(head, types);
  assert.match(head, /^X-Content-Type-Options: nosniff\r$/m);
  assert.match(head, /^Cache-Control: no-store\r$/m);
  if (/application\/json/.test(head) && !isHead) JSON.parse(body);
  else if (/text\/(html|css|javascript)/.test(head)) assert.ok(!body.includes(mark));
}

function expectedOf(request: Sent, at: Surface): readonly number[] {
  const { method: verb, path: asked, query: more, host, body } = request;
  const [plain = ''] = `${asked}${more}`.split('?', 1);
  if (at !== 'nerve socket' && !/^(127\.0\.0\.1|localhost|\[::1\]:80)$/.test(host)) return [421];
  if (!known[at].includes(plain)) return [404];
  const isControl = at === 'nerve socket' && drains.includes(plain);
  if (isControl)
    return verb !== 'POST' ? [405] : body.includes('"service":"api"') && !body.includes('nope') ? [200] : [400];
  if (verb !== 'GET' && verb !== 'HEAD') return [405];
  return ['/api/v1/service', '/api/v1/explain'].includes(plain) ? [200, 404] : [200];
}

async function answersEach(
  { requests, at }: { readonly requests: readonly Sent[]; readonly at: Surface },
  servers: AdminServers,
): Promise<void> {
  const all = [...requests, last];
  const before = servers.seen();
  const text = await exchange(servers.to[at], all.map(textOf));
  const answers = answersIn(
    text,
    all.map(({ method: verb }) => verb),
  );
  const isCut = (answers.at(-1)?.head ?? '').includes('text/event-stream') || (answers.at(-1)?.status ?? 0) === 400;
  if (!isCut) assert.equal(answers.length, all.length, text.slice(0, 2_000));
  for (const [index, answer] of answers.entries()) {
    const request = all[index] as Sent;
    assertSafe(answer, request.method === 'HEAD');
    assert.ok(
      expectedOf(request, at).includes(answer.status),
      `${textOf(request).slice(0, 300)}: ${answer.status} ${answer.body.slice(0, 300)}`,
    );
  }
  assert.equal(servers.seen(), before);
}

const noise = fc.oneof(
  { weight: 5, arbitrary: sent.map(textOf) },
  fc.string({ maxLength: 40 }),
  fc.constantFrom(
    '\r\n',
    '\n',
    '\0',
    'GET / HTTP/9.9\r\n\r\n',
    'GET /healthz HTTP/1.0\r\n\r\n',
    'CONNECT a:1 HTTP/1.1\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'GET /healthz\r\n',
    '\x16\x03\x01',
    // Node.js leaves out what follows it.
    'GET /healthz HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n',
  ),
  fc
    .constantFrom(
      'Content-Length: -1',
      'Content-Length: 99',
      'Transfer-Encoding: chunked',
      'Transfer-Encoding: chunked, identity\r\nContent-Length: 1',
      'Expect: 100-continue',
      'Expect: x',
      ' folded: 1',
      ': none',
      'A',
      `Big: ${'x'.repeat(9_000)}`,
      'Host: a\r\nHost: b',
    )
    .map((line) => `POST /api/v1/drain HTTP/1.1\r\n${line}\r\n\r\n`),
  fc.constantFrom('5\r\nhello\r\n0\r\n\r\n', 'fffffffffffffffff\r\n', '-1\r\n', '{"service":"__proto__"}'),
);
const bytes = fc
  .array(fc.tuple(noise, fc.nat(300)), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.map(([part, end]) => (end > 200 ? part : part.slice(0, end))));

async function staysUp(
  { parts, at }: { readonly parts: readonly string[]; readonly at: Surface },
  servers: AdminServers,
): Promise<void> {
  const before = servers.seen();
  const text = await exchange(servers.to[at], parts, 5);
  assert.ok(!/^[A-Za-z-]*zqx/m.test(text));
  if (text !== '') assert.match(text, /^HTTP\/1\.1 \d{3} /);
  const answers = answersIn(await exchange(servers.to[at], [textOf(last)]), ['GET']);
  assert.deepEqual(
    answers.map(({ status, body }) => [status, body]),
    [[200, 'ok\n']],
  );
  assert.equal(servers.seen(), before);
}

const resource = { open: openAdminServers, close: (servers: AdminServers) => servers.close() };

export const properties = [
  propertyWith(
    'each request gets the answer of its path, in order, which repeats nothing in its head, and nothing changes',
    resource,
    fc.record({ requests: fc.array(sent, { minLength: 1, maxLength: 4 }), at: surface }),
    answersEach,
    { cases: 100 },
  ),
  propertyWith(
    'whatever bytes come, the admin server goes on, and nothing changes',
    resource,
    fc.record({ parts: bytes, at: surface }),
    staysUp,
    { cases: 60 },
  ),
];
