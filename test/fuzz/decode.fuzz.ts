import fc from 'fast-check';
import type { Entry } from '../../common/etcd/client/key-value.ts';
import { type Decode, readDecode } from '../../common/etcd/records/decode.ts';
import { readEntry } from '../../common/etcd/records/record-rules.ts';
import type { Instance } from '../../common/instance.ts';
import { InvalidRecord } from '../../common/instance-fields.ts';
import { property } from './property.ts';
import { assertOneLineMore } from './records.fuzz.ts';

const text = fc.oneof(
  fc.constantFrom(
    '10.0.0.1',
    'a.example',
    '::1',
    '80',
    '65536',
    '-1',
    '',
    ' ',
    '\n',
    'a\nserver b',
    '"',
    '\0',
    '__proto__',
  ),
  fc.string({ maxLength: 20 }),
);
const leaf = fc.oneof(
  text,
  fc.constantFrom<unknown>(80, 0, -1, 1e9, 1.5, null, true, [], {}),
  fc.jsonValue({ maxDepth: 1 }),
);
const step = fc.constantFrom('host', 'port', 'name', 'weight', 'a', 'length', '__proto__', 'constructor', '[0]', '[1]');

/** A path of the option `decode`, mostly one that exists in {@link document}. */
const path = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a.host', 'a.port', 'a.name', 'a.weight', 'list[0].host', 'list[0].port') },
  fc.array(step, { minLength: 1, maxLength: 4 }).map((steps) => steps.join('.').replaceAll('.[', '[')),
);
const fields = fc.record({ host: leaf, port: leaf, name: leaf, weight: leaf }, { requiredKeys: [] });
const document = fc.oneof(
  { weight: 4, arbitrary: fc.record({ a: fields, list: fc.array(fields, { maxLength: 2 }) }) },
  fc.jsonValue({ maxDepth: 4 }),
);

const decode: fc.Arbitrary<unknown> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record(
      { method: fc.constant('json'), host: path, port: path, name: path, weight: path },
      {
        requiredKeys: ['method'],
      },
    ),
  },
  fc.constantFrom({ method: 'address' }, { method: 'nerve', any_key: true }),
);
const value = fc.oneof(
  { weight: 4, arbitrary: document.map((content) => Buffer.from(JSON.stringify(content))) },
  fc.tuple(text, text).map(([host, port]) => Buffer.from(`${host}:${port}`)),
  fc.uint8Array({ maxLength: 60 }).map((part) => Buffer.from(part)),
);

/** The options that the configuration takes; others are an error there. */
function accepted(options: unknown): Decode | undefined {
  try {
    return readDecode(options);
  } catch {
    return undefined;
  }
}

/** The instance of a value. @throws when it is refused in another way than as a record that cannot be used */
function decoded(entry: Entry, options: Decode): Instance | undefined {
  try {
    return readEntry(entry, { decode: options, maxBytes: 8192, requireLease: false });
  } catch (error) {
    if (error instanceof InvalidRecord) return undefined;
    throw error;
  }
}

export const properties = [
  property(
    'a value that nerve did not write becomes one server line, or a record that cannot be used',
    fc.tuple(decode, value),
    ([options, bytes]) => {
      const used = accepted(options);
      if (used === undefined) return;
      const entry = { key: '/services/api/x', value: bytes, modRevision: '1', createRevision: '1', lease: '0' };
      const one = decoded(entry, used);
      if (one !== undefined) assertOneLineMore(one);
    },
  ),
];
