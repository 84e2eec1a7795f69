import fc from 'fast-check';
import { defaultTrustedOptions } from '../../../synapse/haproxy/options/config.ts';

const hostile = [
  '',
  ' ',
  '\n',
  '"',
  "'",
  '\\',
  '#',
  ';',
  '$HOME',
  '\0',
  '\u00a0',
  '<<',
  '%',
  '999999999999',
  '-1',
  '1.5',
];
const number = fc.oneof(
  fc.constantFrom(
    '0',
    '1',
    '2',
    '99',
    '100',
    '255',
    '256',
    '257',
    '1000',
    '65535',
    '65536',
    '2147483647',
    '2147483648',
  ),
  fc.nat({ max: 2 ** 32 }).map(String),
);
const time = fc.tuple(number, fc.constantFrom('', 'us', 'ms', 's', 'm', 'h', 'd')).map((parts) => parts.join(''));
const option = fc.tuple(
  fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...defaultTrustedOptions) },
    fc.constantFrom('ssl', 'source', 'no-check'),
  ),
  fc.oneof(
    { weight: 5, arbitrary: number },
    { weight: 5, arbitrary: time },
    fc.constantFrom(...hostile, 'aA0_.:@+/=-'),
  ),
);
const options = fc.array(option, { maxLength: 9 }).map((words) => words.flat().join(' '));
const odd = fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.constantFrom<unknown>(...hostile));
const mostly = <T>(usual: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 6, arbitrary: usual as fc.Arbitrary<unknown> }, { weight: 1, arbitrary: odd });

/** Where the instances of records are. */
export interface RecordPlaces {
  readonly hosts: readonly string[];
  /** Ports beside random ones. */
  readonly ports?: readonly number[];
}

/** The fields of a record, of which each may be anything. HAProxy may check the host. */
export const randomRecord = ({ hosts, ports = [1] }: RecordPlaces): fc.Arbitrary<Readonly<Record<string, unknown>>> =>
  fc.record(
    {
      host: mostly(fc.constantFrom(...hosts)),
      port: mostly(fc.oneof(fc.integer({ min: 1, max: 65_535 }), fc.constantFrom(...ports))),
      name: mostly(fc.constantFrom('a', 'b.c', 'x_y', 'N-1')),
      weight: mostly(fc.integer({ min: -1, max: 257 })),
      backup: mostly(fc.boolean()),
      state: mostly(fc.constantFrom('up', 'drain', 'down')),
      labels: mostly(fc.dictionary(fc.string({ maxLength: 5 }), fc.string({ maxLength: 5 }), { maxKeys: 2 })),
      haproxy_server_options: mostly(options),
    },
    { requiredKeys: ['host', 'port'] },
  );
