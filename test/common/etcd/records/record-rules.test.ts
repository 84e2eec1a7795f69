import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type RecordRules, readEntry, usualRules } from '../../../../common/etcd/records/record-rules.ts';

const p1 = { host: '127.0.0.1', port: 80, name: 'p1' };
const nameless = { host: '127.0.0.1', port: 80 };
/** Its id is that of {@link p1}: an underscore is allowed in host names. */
const posing = { host: 'p1_127.0.0.1', port: 80 };
const api = '/nerve/services/api/';
const large = { ...p1, labels: Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`l${n}`, 'x'.repeat(1_000)])) };
const leased: Partial<RecordRules> = { requireLease: true };

interface Case {
  readonly key: string;
  readonly value: object | string;
  readonly rules?: Partial<RecordRules>;
  readonly lease?: string;
}
const read = ({ key, value, rules = {}, lease = '0' }: Case): string =>
  readEntry(
    {
      key: `${api}${key}`,
      value: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
      createRevision: '1',
      modRevision: '1',
      lease,
    },
    { ...usualRules, ...rules },
  ).id;

describe('the rules for records', () => {
  const taken: readonly (readonly [title: string, given: Case])[] = [
    ['under its own name', { key: 'p1_127.0.0.1:80', value: p1 }],
    ['under its own name, deeper', { key: 'az1/rack/p1_127.0.0.1:80', value: p1 }],
    ['without a name, under its address', { key: '127.0.0.1:80', value: nameless }],
    ['with an IPv6 address', { key: 'p1_fd00::1:80', value: { ...p1, host: 'fd00::1' } }],
    ["under SmartStack's key", { key: 'services/p1/00000000000000000007', value: p1 }],
    [
      'under any key, where that is allowed',
      { key: '1', value: p1, rules: { decode: { method: 'nerve', any_key: true } } },
    ],
    [
      'of other JSON, under any key',
      { key: '1', value: p1, rules: { decode: { method: 'json', host: 'host', port: 'port' } } },
    ],
    ['of plain text, under any key', { key: '1', value: '10.0.0.1:80', rules: { decode: { method: 'address' } } }],
    ['with a lease, where one is required', { key: 'p1_127.0.0.1:80', value: p1, rules: leased, lease: '7' }],
    ['larger than usual, where that is allowed', { key: 'p1_127.0.0.1:80', value: large, rules: { maxBytes: 65_536 } }],
  ];
  for (const [title, given] of taken) it(`take a record ${title}`, () => assert.match(read(given), /:80$/));

  const own = /^its key must end in \/p1_127\.0\.0\.1:80, because a record is taken only under its own name/;
  const refused: readonly (readonly [title: string, given: Case, reason: RegExp])[] = [
    ['under any other key', { key: '1', value: p1 }, own],
    ['with the name of another one and no name of its own', { key: 'p1_127.0.0.1', value: posing }, own],
    ['under a key that only ends like its own', { key: 'xp1_127.0.0.1:80', value: p1 }, own],
    ['under a key with its own name above', { key: 'p1_127.0.0.1:80/x', value: p1 }, own],
    ['under the key of another port', { key: 'p1_127.0.0.1:81', value: p1 }, own],
    ["under SmartStack's key of another name", { key: 'services/p2/00000000000000000007', value: p1 }, own],
    ["without a name under SmartStack's key", { key: '/00000000000000000007', value: nameless }, /must end in \/127/],
    ['without a lease, where one is required', { key: 'p1_127.0.0.1:80', value: p1, rules: leased }, /^has no lease/],
    ['of more bytes than usual', { key: 'p1_127.0.0.1:80', value: large }, /^9\d{3} bytes: at most 8192 are read$/],
    ['that is nested too deeply', { key: 'x', value: '['.repeat(8_000) }, /^nested more than 32 levels deep$/],
    [
      'of other JSON that is nested too deeply',
      { key: 'x', value: '['.repeat(8_000), rules: { decode: { method: 'json' } } },
      /^nested more than 32 levels deep$/,
    ],
    [
      'of other JSON of more bytes than usual',
      { key: 'x', value: large, rules: { decode: { method: 'json' } } },
      /bytes: at most 8192/,
    ],
  ];
  for (const [title, given, reason] of refused) {
    it(`refuse a record ${title}`, () => assert.throws(() => read(given), { name: 'InvalidRecord', message: reason }));
  }

  it('apply the limit of the size before they parse anything', (t) => {
    const parse = t.mock.method(JSON, 'parse');
    assert.throws(() => read({ key: 'x', value: 'x'.repeat(9_000) }), /bytes: at most/);
    assert.equal(parse.mock.callCount(), 0);
  });
});
