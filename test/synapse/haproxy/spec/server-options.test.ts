import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { filterOptions } from '../../../../synapse/haproxy/spec/server-options.ts';

describe('server options from the registry', () => {
  const trusted = new Set(['backup', 'weight', 'inter', 'port', 'maxconn', 'cookie']);
  const cases: readonly [string, string, string][] = [
    ['backup weight 5', 'backup weight 5', ''],
    ['weight 257', '', 'weight 257'],
    ['weight', '', 'weight'],
    ['inter 2s inter 0 inter soon', 'inter 2s', 'inter 0,inter soon'],
    ['source 0.0.0.0 backup', 'backup', 'source 0.0.0.0'],
    ['port 70000 port 80', 'port 80', 'port 70000'],
    ['constructor toString', '', 'constructor,toString'],
  ];
  for (const [text, kept, refused] of cases) {
    it(`'${text}' keeps '${kept}'`, () => {
      const result = filterOptions(text, trusted);
      assert.equal(result.options.map(({ keyword, values }) => [keyword, ...values].join(' ')).join(' '), kept);
      assert.equal(result.refused.join(','), refused);
    });
  }
  it('takes any value of a keyword that a user listed', () => {
    assert.equal(filterOptions('sni req.hdr(host)', new Set(['sni'])).options.length, 1);
    assert.equal(filterOptions('anything goes', new Set(['*'])).refused.length, 0);
  });
});
