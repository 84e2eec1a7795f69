import fc from 'fast-check';
import { directives, type LineForm, type Side, serverOptions } from '../../../synapse/haproxy/published/directives.ts';
import { parameters } from '../../../synapse/haproxy/published/parameters.ts';

const time = (units: readonly string[], max: number) =>
  fc.tuple(fc.integer({ min: 1, max }), fc.constantFrom(...units)).map(([number, unit]) => `${number}${unit}`);
const whole = (min: number, max: number) => fc.integer({ min, max }).map(String);
const text = (characters: string, maxLength: number, first = '') =>
  fc
    .array(fc.constantFrom(...characters), { minLength: first === '' ? 1 : 0, maxLength })
    .map((all) => first + all.join(''));
const letters = 'abzAZ09';

/** Values of each parameter of the forms that may be published, by its name. */
const values: Readonly<Record<string, fc.Arbitrary<string>>> = {
  TIME: fc.oneof(fc.constantFrom('100', '86400000', '24h', '1d', '1ms'), time(['ms', 's', 'm'], 1_440)),
  SHORT_TIME: fc.oneof(fc.constantFrom('100', '60000', '1m', '60s', '1ms'), time(['ms', 's'], 60)),
  INTERVAL: fc.oneof(fc.constantFrom('100', '100ms', '1h', '60m', '3600s'), time(['s', 'm'], 60)),
  LIFETIME: fc.oneof(fc.constantFrom('1s', '365d'), time(['s', 'm', 'h', 'd'], 365)),
  RETRIES: whole(0, 10),
  PASSES: whole(1, 100),
  WEIGHT: whole(1, 256),
  CONNECTIONS: fc.oneof(fc.constantFrom('1', '100000'), whole(1, 100_000)),
  FACTOR: whole(101, 10_000),
  DRAWS: whole(1, 8),
  LENGTH: whole(1, 128),
  DEPTH: whole(1, 16),
  ENTRIES: fc.oneof(fc.constantFrom('1', '100000'), whole(1, 100_000)),
  NAME: text(`${letters}_-`, 63, 'S'),
  METHOD: fc.constantFrom('GET', 'HEAD', 'OPTIONS'),
  PATH: text(`${letters}._~/?=&+-`, 255, '/'),
  VERSION: fc.constantFrom('HTTP/1.0', 'HTTP/1.1'),
  HOST_NAME: fc.oneof(fc.constantFrom('localhost', '10.0.0.1', 'a.b-c.example'), text(`${letters}`, 60)),
  STATUSES: fc
    .array(
      fc
        .tuple(fc.integer({ min: 100, max: 599 }), fc.nat(599))
        .map(([from, more]) => (more % 2 === 0 ? String(from) : `${from}-${Math.min(599, from + more)}`)),
      { minLength: 1, maxLength: 10 },
    )
    .map((ranges) => ranges.join(',')),
  TEXT: text(`${letters}_.:/=+-`, 64),
  MEDIA_TYPE: fc.constantFrom('text/html', 'application/json', 'image/svg+xml', 'application/vnd.a.b-c'),
  EVENT: fc.constantFrom(
    ...['conn-failure', 'empty-response', 'junk-response', 'response-timeout', '0rtt-rejected'],
    ...['404', '408', '425', '500', '501', '502', '503', '504'],
  ),
};

for (const name of Object.keys(parameters)) {
  if (values[name] === undefined) throw new Error(`there are no values for the parameter ${name}`);
}

/** One word of a form, such as `random(DRAWS)` or `gzip|deflate...`. */
function wordOf(form: string): fc.Arbitrary<readonly string[]> {
  const alternatives = form
    .replace(/\.\.\.$/, '')
    .split('|')
    .map((alternative) => {
      const parts = alternative.split(/([A-Z][A-Z_]+)/).map((part) => values[part] ?? fc.constant(part));
      return fc.tuple(...parts).map((all) => all.join(''));
    });
  const one = fc.oneof(...alternatives);
  return form.endsWith('...') ? fc.uniqueArray(one, { minLength: 1, maxLength: 4 }) : one.map((word) => [word]);
}

/** Lines that have a form, with its groups that may be left out in any order where HAProxy does not mind. */
export function linesOf(form: string): fc.Arbitrary<string> {
  const groups = [...form.matchAll(/\[([^\]]+)\]|\S+/g)].map(([whole_, inner]) => {
    const words = fc.tuple(...(inner ?? whole_).split(' ').map(wordOf)).map((all) => all.flat());
    return inner === undefined ? words : fc.option(words, { nil: [] as string[], freq: 2 });
  });
  return fc.tuple(...groups).map((all) => all.flat().join(' '));
}

/** All forms of lines on one side. */
export function formsOn(side: Side): readonly LineForm[] {
  return directives.filter(({ sides }) => sides.includes(side)).flatMap(({ forms }) => forms);
}

/** Server options that may be published. */
export const publishedServerOptions: fc.Arbitrary<string> = fc
  .tuple(...serverOptions.map(({ text: form }) => fc.option(linesOf(form), { nil: '' })))
  .map((all) => all.filter((option) => option !== '').join(' '));
