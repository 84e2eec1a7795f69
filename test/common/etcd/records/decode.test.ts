import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeValue, readDecode } from '../../../../common/etcd/records/decode.ts';

/** The result is an id, or the message of the error. */
const cases: readonly [title: string, decode: object, value: string, result: string | RegExp][] = [
  ["nerve's own record", { method: 'nerve' }, '{"host":"h","port":1,"name":"n"}', 'n_h:1'],
  ['plain host:port', { method: 'address' }, '10.0.0.1:80\n', '10.0.0.1:80'],
  ['an IPv6 address in brackets', { method: 'address' }, '[::1]:80', '::1:80'],
  ['an IPv6 address without brackets', { method: 'address' }, '::1:80', /must be host:port/],
  ['a port that is out of range', { method: 'address' }, 'h:99999', /port 99999/],
  ['options behind the address', { method: 'address' }, 'h:1 backup', /must be host:port/],
  ['JSON with the usual names', { method: 'json' }, '{"host":"h","port":"1"}', 'h:1'],
  ['JSON with paths', { method: 'json', host: 'a.ip', port: '$.p[1]' }, '{"a":{"ip":"h"},"p":[7,8]}', 'h:8'],
  ['JSON that is a list', { method: 'json', host: '[0]', port: '[1]' }, '["h",2]', 'h:2'],
  ['a name and a weight', { method: 'json', name: 'id', weight: 'w' }, '{"host":"h","port":1,"id":7,"w":3}', '7_h:1'],
  ['a path that leads nowhere', { method: 'json', host: 'a.b' }, '{"a":7,"port":1}', /^host undefined/],
  [
    'a path to a property that JSON does not have',
    { method: 'json', host: 'constructor.name' },
    '{"port":1}',
    /^host undefined/,
  ],
  ['a host that is an object', { method: 'json', host: 'a' }, '{"a":{},"port":1}', /^host \{\}/],
  ['text that is not JSON', { method: 'json' }, 'h:1', /^not JSON/],
  ['a record without its bad name', { method: 'json', name: 'n' }, '{"host":"h","port":1,"n":"a b"}', 'h:1'],
  ['a record without its bad weight', { method: 'json', weight: 'w' }, '{"host":"h","port":1,"w":1000}', 'h:1'],
];

describe('decode', () => {
  for (const [title, decode, value, result] of cases) {
    it(typeof result === 'string' ? `reads ${title}` : `rejects ${title}`, () => {
      const read = () => decodeValue(Buffer.from(value), readDecode(decode)).id;
      if (typeof result === 'string') assert.equal(read(), result);
      else assert.throws(read, ({ message }: Error) => result.test(message));
    });
  }

  const wrong: readonly [decode: unknown, message: RegExp][] = [
    [{}, /method must be nerve, json or address/],
    ['json', /method must be/],
    [{ method: 'json', hosts: 'a' }, /unknown key hosts/],
    [{ method: 'json', host: 'a..b' }, /decode\.host must be a path/],
    [{ method: 'address', host: 'a' }, /only used with method json/],
  ];
  for (const [decode, message] of wrong) {
    it(`refuses ${JSON.stringify(decode)}`, () => assert.throws(() => readDecode(decode), message));
  }
});
