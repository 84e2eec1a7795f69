import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formats, type Parse, readRecords } from '../../../common/config/formats.ts';

type Name = keyof typeof formats;

describe('formats', () => {
  const accepted: readonly [format: Name, given: unknown, value: unknown][] = [
    ['duration', 0.5, 500],
    ['duration', 2, 2000],
    ['duration', 0, 0],
    ['duration', '500ms', 500],
    ['duration', '2s', 2000],
    ['duration', '1m', 60_000],
    ['duration', '1.5h', 5_400_000],
    ['duration', '1d', 86_400_000],
    ['duration', '3', 3000],
    ['duration', ' 2 s ', 2000],
    ['boolean', 'true', true],
    ['boolean', 'No', false],
    ['boolean', false, false],
    ['number', '1.5', 1.5],
    ['integer', '-3', -3],
    ['positive-integer', 1, 1],
    ['natural-number', 0, 0],
    ['port', '8080', 8080],
    ['port', 1, 1],
    ['weight', '03', 3],
    ['weight', 0, 0],
    ['host', '::1', '::1'],
    ['strings', 'one', ['one']],
    ['strings', [], []],
    ['lines', 'a\n  b\n', ['a', '  b']],
    ['lines', ['\ta'], ['\ta']],
    ['labels', { az: 'a' }, { az: 'a' }],
    ['hosts', 'http://a:1, b:2,', ['http://a:1', 'b:2']],
    ['hosts', ['https://[::1]:2379'], ['https://[::1]:2379']],
    ['listen', '127.0.0.1:0', '127.0.0.1:0'],
    ['listen', '[::1]:80', '[::1]:80'],
    ['listen', false, false],
    ['listen', 'false', false],
    ['file-mode', '0660', 0o660],
    ['file-mode', '600', 0o600],
    ['object', {}, {}],
    ['list', [1], [1]],
    ['string', '', ''],
  ];
  for (const [format, given, value] of accepted) {
    it(`${format} takes ${JSON.stringify(given)} as ${JSON.stringify(value)}`, () => {
      assert.deepEqual((formats[format] as Parse)(given), value);
    });
  }

  const refused: readonly [format: Name, given: unknown, message: RegExp][] = [
    ['duration', -1, /must be a time: a number of seconds/],
    ['duration', '5 minutes', /must be a time/],
    ['duration', '25d', /at most 24 days/],
    ['duration', Number.NaN, /must be a time/],
    ['duration', null, /must be a time/],
    ['positive-duration', 0, /longer than 0/],
    ['boolean', 1, /true or false/],
    ['boolean', 'maybe', /true or false/],
    ['number', Number.POSITIVE_INFINITY, /must be a number/],
    ['number', '1e999', /must be a number/],
    ['integer', 1.5, /whole number/],
    ['integer', '', /whole number/],
    ['positive-integer', 0, /1 or more/],
    ['natural-number', -1, /0 or more/],
    ['port', 0, /1 to 65535/],
    ['port', '80deadbeef', /1 to 65535/],
    ['port', [80], /1 to 65535/],
    ['weight', 257, /0 to 256/],
    ['weight', '3.5', /0 to 256/],
    ['weight', null, /0 to 256/],
    ['host', '10.0.0.256', /IP address or a host name/],
    ['string', 5, /quotes/],
    ['non-empty-string', ' ', /not empty/],
    ['strings', [1], /list of strings/],
    ['lines', ['a\nuser root'], /control characters/],
    ['lines', ['a\u0000'], /control characters/],
    ['lines', [null], /list of strings/],
    ['labels', { az: 1 }, /quotes/],
    ['labels', ['a'], /object/],
    ['hosts', '', /list of http/],
    ['hosts', ['ftp://a'], /list of http/],
    ['hosts', ['http://user:pass@a:1'], /list of http/],
    ['hosts', ['http://a:1/path'], /list of http/],
    ['listen', '127.0.0.1', /HOST:PORT/],
    ['listen', ':80', /HOST:PORT/],
    ['listen', '127.0.0.1:65536', /HOST:PORT/],
    ['listen', true, /HOST:PORT/],
    ['file-mode', 432, /octal/],
    ['file-mode', '0999', /octal/],
    ['object', [], /object/],
    ['list', {}, /list/],
  ];
  for (const [format, given, message] of refused) {
    it(`${format} refuses ${JSON.stringify(given)}`, () => {
      assert.throws(() => (formats[format] as Parse)(given), message);
    });
  }
});

describe('the servers of a configuration', () => {
  const record = { name: 'a', host: '10.0.0.1', port: 80 };

  it("keep SmartStack's haproxy_server_id as the server option id", () => {
    const [one, two, none] = readRecords([
      { ...record, haproxy_server_id: 7 },
      { ...record, name: 'b', haproxy_server_id: '8', haproxy_server_options: 'check' },
      { ...record, name: 'c', haproxy_server_id: null },
    ]);
    assert.equal(one?.serverOptions, 'id 7');
    assert.equal(two?.serverOptions, 'check id 8');
    assert.equal(none?.serverOptions, undefined);
  });

  const wrong: readonly (readonly [what: string, records: readonly object[], message: RegExp])[] = [
    [
      '0',
      [{ ...record, haproxy_server_id: 0 }],
      /^entry 0: haproxy_server_id 0: must be a whole number from 1 to 2147483647$/,
    ],
    ['no number', [{ ...record, haproxy_server_id: 'x' }], /haproxy_server_id "x": must be a whole number/],
    ['a fraction', [{ ...record, haproxy_server_id: 1.5 }], /haproxy_server_id 1.5: must be/],
    ['a number that HAProxy cannot store', [{ ...record, haproxy_server_id: 2_147_483_648 }], /must be a whole number/],
    [
      'the number of another server',
      [record, { ...record, port: 81, haproxy_server_id: 7 }, { ...record, port: 82, haproxy_server_id: 7 }],
      /^entry 2: haproxy_server_id 7: entry 1 has it too$/,
    ],
    [
      'a second number in the options',
      [{ ...record, haproxy_server_id: 7, haproxy_server_options: 'check id 8' }],
      /^entry 0: haproxy_server_id 7: haproxy_server_options has an id too; give one of them$/,
    ],
  ];
  for (const [what, records, message] of wrong) {
    it(`refuse as haproxy_server_id ${what}`, () => {
      assert.throws(
        () => readRecords(records),
        ({ message: said }: Error) => message.test(said),
      );
    });
  }
});
