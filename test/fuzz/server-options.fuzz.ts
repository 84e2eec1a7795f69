import assert from 'node:assert/strict';
import fc from 'fast-check';
import { defaultTrustedOptions } from '../../synapse/haproxy/options/config.ts';
import { filterOptions, formatOptions, parseOptions } from '../../synapse/haproxy/spec/server-options.ts';
import { property } from './property.ts';

const keywords = [
  ...defaultTrustedOptions,
  ...['addr', 'agent-addr', 'ca-file', 'crt', 'disabled', 'on-marked-down', 'redir', 'resolvers', 'sni', 'socks4'],
  ...[
    'source',
    'ssl',
    'track',
    'usesrc',
    'verify',
    'no-check',
    'proto',
    'send-proxy',
    'namespace',
    'set-proxy-v2-tlv-fmt',
  ],
];
const hostile = [
  'unix@/run/haproxy.sock',
  '10.0.0.1:22',
  '-1',
  '0',
  '2s',
  '99999999999',
  '"',
  "'",
  '\\',
  '#',
  '$HOME',
  '\u00a0',
  '',
];
const word = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...keywords) },
  { weight: 2, arbitrary: fc.nat({ max: 70_000 }).map(String) },
  { weight: 2, arbitrary: fc.constantFrom(...hostile) },
  { weight: 1, arbitrary: fc.string({ maxLength: 12 }) },
);
const text = fc
  .array(fc.tuple(word, fc.constantFrom(' ', '  ', '\t', '\n', '\r\n')), { maxLength: 12 })
  .map((parts) => parts.flat().join(''));

export const properties = [
  property('the options of a record are only trusted keywords with plain values', text, (options) => {
    const trusted = new Set(defaultTrustedOptions);
    const kept = filterOptions(options, trusted).options;
    for (const { keyword, values } of kept) {
      assert.ok(trusted.has(keyword), keyword);
      for (const value of values) assert.match(value, /^[A-Za-z0-9_.:@+/=-]{1,128}$/);
    }
    assert.deepEqual(parseOptions(formatOptions(kept)), kept, 'HAProxy reads the words as synapse does');
  }),
];
