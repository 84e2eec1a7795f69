import fc from 'fast-check';
import type { Side } from '../../../synapse/haproxy/published/directives.ts';
import { hostileLines, hostileServerOptions } from './hostile-lines.ts';
import { formsOn, linesOf, publishedServerOptions } from './published-lines.ts';

/** Words of hostile lines, so that random lines are made of what HAProxy knows. */
const hostileWords = [
  ...new Set([...Object.values(hostileLines).flat(), ...hostileServerOptions].join(' ').split(/\s+/)),
];
/** Lines of one side that may be published. */
export const validOn = (side: Side) => fc.oneof(...formsOn(side).map(({ text }) => linesOf(text)));
/** Lines that may be published. */
export const validLine = fc.oneof(validOn('backend'), validOn('frontend'));
const hostileWord = fc.constantFrom(...hostileWords);
/** A valid line with a word more, less or replaced. */
const spoiledLine = fc
  .tuple(validLine, hostileWord, fc.nat(8), fc.constantFrom('insert', 'replace', 'remove', 'join'))
  .map(([line, word, at, how]) => {
    const words = line.split(' ');
    if (how === 'join') return `${line}${word}`;
    return words
      .toSpliced(at % (words.length + 1), how === 'insert' ? 0 : 1, ...(how === 'remove' ? [] : [word]))
      .join(' ');
  });
const line = fc.oneof(
  { weight: 6, arbitrary: validLine },
  { weight: 3, arbitrary: spoiledLine },
  { weight: 1, arbitrary: fc.constantFrom(...Object.values(hostileLines).flat()) },
  { weight: 1, arbitrary: fc.array(hostileWord, { maxLength: 6 }).map((words) => words.join(' ')) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  { weight: 1, arbitrary: fc.constantFrom('mode http', 'mode tcp') },
);
const serverOptions = fc.oneof(
  { weight: 4, arbitrary: publishedServerOptions },
  { weight: 1, arbitrary: fc.constantFrom(...hostileServerOptions) },
  { weight: 1, arbitrary: fc.array(hostileWord, { maxLength: 5 }).map((words) => words.join(' ')) },
);

interface Lines {
  readonly frontend: fc.Arbitrary<string>;
  readonly backend: fc.Arbitrary<string>;
  readonly options: fc.Arbitrary<string>;
}
const section = ({ frontend, backend, options }: Lines) =>
  fc
    .record(
      {
        frontend: fc.array(frontend, { maxLength: 2 }),
        backend: fc.array(backend, { maxLength: 3 }),
        listen: fc.oneof(fc.array(fc.oneof(frontend, backend), { maxLength: 2 }), backend),
        server_options: options,
        backend_order: fc.constantFrom('asc', 'desc', 'no_shuffle'),
        cookie_value_method: fc.constant('hash'),
      },
      { requiredKeys: [] },
    )
    .map(completed);

/** Lines that count only together with another one. */
export const together: readonly (readonly [begin: string, needed: string])[] = [
  ['http-check ', 'option httpchk'],
  ['tcp-check ', 'option tcp-check'],
  ['stick on ', 'stick-table type string size 10'],
];

/** The same section with the lines that others of its lines need: alone, these would be refused whatever they say. */
export function completed<
  T extends { readonly backend?: readonly string[]; readonly listen?: readonly string[] | string },
>(given: T) {
  const { backend = [], listen = [] } = given;
  const all = [...backend, ...(typeof listen === 'string' ? [listen] : listen)];
  const missing = together
    .filter(([begin, needed]) => all.some((each) => each.startsWith(begin)) && !all.includes(needed))
    .map(([, needed]) => needed);
  return missing.length === 0 ? given : { ...given, backend: [...missing, ...backend] };
}

/** A section in which each line may be published. */
export const validSection = section({
  frontend: validOn('frontend'),
  backend: validOn('backend'),
  options: publishedServerOptions,
});
/** A document of one line finds most: in a larger one, another line is often the reason to refuse it. */
const oneLine = fc
  .tuple(fc.oneof(validLine, spoiledLine, line), fc.constantFrom('backend', 'listen'))
  .map(([each, key]) => completed({ [key]: [each] }));
const hostileSection = fc.oneof(
  { weight: 3, arbitrary: oneLine },
  validSection,
  fc
    .tuple(validSection, spoiledLine, fc.constantFrom('frontend', 'backend', 'listen'))
    .map(([valid, spoiled, key]) => completed({ ...valid, [key]: [spoiled] })),
  section({ frontend: line, backend: line, options: serverOptions }),
  fc.dictionary(
    fc.constantFrom('port', 'bind_address', 'bind_options', 'backend', 'shared_frontend', 'disabled', '__proto__'),
    fc.jsonValue({ maxDepth: 2 }),
  ),
);
/** Documents of which about a third are accepted. */
export const document = fc.oneof(
  { weight: 8, arbitrary: hostileSection.map((haproxy) => ({ haproxy })) },
  { weight: 1, arbitrary: fc.jsonValue() },
);
