import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { filterOptions, formatOptions, parseOptions } from '../../../../synapse/haproxy/spec/server-options.ts';

describe('server options from the registry', () => {
  const trusted = new Set(
    'backup check no-check weight inter slowstart port maxconn cookie id rise idle-ping observe'.split(' '),
  );
  const cases: readonly [text: string, kept: string, dropped: readonly RegExp[]][] = [
    ['backup weight 5', 'backup weight 5', []],
    ['  check   inter  2s ', 'check inter 2s', []],
    // Values.
    ['weight 257', '', [/weight 257: must be a whole number from 0 to 256/]],
    ['weight -1', '', [/weight -1: must be/]],
    ['weight', '', [/weight: needs a value/]],
    ['weight 1.5 check', 'check', [/weight 1.5/]],
    ['inter soon', '', [/inter soon: must be a time from 100ms to 1d/]],
    ['inter 0', '', [/inter 0/]],
    ['inter 1us', '', [/inter 1us/]],
    ['inter 99ms', '', [/inter 99ms/]],
    ['inter 100', 'inter 100', []],
    ['inter 24h', 'inter 24h', []],
    ['inter 25d', '', [/inter 25d/]],
    ['inter 9999999999', '', [/inter 9999999999/]],
    ['slowstart 0', 'slowstart 0', []],
    ['port 70000', '', [/port 70000/]],
    ['rise 0 maxconn 0', 'maxconn 0', [/rise 0/]],
    ['maxconn 4294967296', '', [/maxconn/]],
    ['id 2147483648', '', [/id 2147483648/]],
    [`cookie ${'x'.repeat(129)}`, '', [/cookie x+: must be a word of at most 128/]],
    ['cookie a,b', '', [/cookie a,b/]],
    ['observe layer5', '', [/observe layer5: must be none, layer4, layer7/]],
    // Keywords that are not trusted, with and without a value of their own.
    ['source 0.0.0.0 backup', 'backup', [/source 0\.0\.0\.0: not among haproxy\.trust_server_options/]],
    ['healthcheck backup check', 'check', [/healthcheck backup: not among/]],
    ['constructor toString', '', [/constructor: not among/, /toString: not among/]],
    // One value for each keyword.
    ['id 2 id 700099', '', [/id 2: contradicts id 700099/, /id 700099: contradicts id 2/]],
    ['inter 2s check inter 5s', 'check', [/inter 2s: contradicts inter 5s/, /inter 5s: contradicts inter 2s/]],
    ['check no-check weight 1', 'weight 1', [/check: contradicts no-check/, /no-check: contradicts check/]],
    ['check check weight 1 weight 1', 'check weight 1', []],
  ];
  for (const [text, kept, dropped] of cases) {
    it(`'${text.slice(0, 60)}' keeps '${kept}' and says why not the rest`, () => {
      const result = filterOptions(text, trusted);
      assert.equal(formatOptions(result.options), kept);
      assert.equal(result.dropped.length, dropped.length, result.dropped.join('\n'));
      for (const [index, pattern] of dropped.entries()) assert.match(result.dropped[index] ?? '', pattern);
    });
  }

  it('are dropped as a whole when they have more words than a line of HAProxy bears', () => {
    const words = (count: number): string => Array.from({ length: count }, (_, index) => `word${index}`).join(' ');
    const all = new Set(['*']);
    assert.equal(filterOptions(words(32), all).options.length, 32);
    const { options, dropped } = filterOptions(words(33), all);
    assert.deepEqual([options, dropped], [[], ['haproxy_server_options: 33 words, at most 32 are used']]);
  });

  it('keep the limits of known keywords when a user trusts all keywords', () => {
    const { options } = filterOptions('sni req.hdr(host) inter 25d anything goes', new Set(['*']));
    assert.equal(formatOptions(options), 'sni req.hdr(host) anything goes');
  });

  it('have a bounded number of reasons', () => {
    const words = Array.from({ length: 32 }, (_, index) => `word${index}`).join(' ');
    assert.equal(filterOptions(words, trusted).dropped.length, 8);
  });
});

describe('the words of a server line', () => {
  it('are split into keywords, each with the value that HAProxy expects after it', () => {
    const keywords = (text: string) => parseOptions(text).map(({ keyword }) => keyword);
    assert.deepEqual(keywords('idle-ping backup check'), ['idle-ping', 'check']);
    assert.deepEqual(keywords('set-proxy-v2-tlv-fmt(0x20) check backup'), ['set-proxy-v2-tlv-fmt(0x20)', 'backup']);
    assert.deepEqual(keywords('source 10.0.0.1 interface eth0 check'), ['source', 'interface', 'check']);
  });
});
