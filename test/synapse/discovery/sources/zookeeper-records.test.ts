import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { maxRecordBytes } from '../../../../common/instance.ts';
import { decodeName, readNodes } from '../../../../synapse/discovery/sources/zookeeper/records.ts';

const deep = '['.repeat(33) + ']'.repeat(33);
const large = JSON.stringify({ host: 'h', port: 1, x: 'x'.repeat(maxRecordBytes) });

describe('the nodes of a service in ZooKeeper', () => {
  const members: readonly (readonly [what: string, data: string, reason: RegExp])[] = [
    ['that is nested too deeply', deep, /^nested more than 32 levels deep$/],
    ['that is too large', large, /bytes: at most 65536 are read$/],
    ['that is not JSON', '{', /^not JSON: "\{"$/],
    ['with a status of another type', '{"status":{"toString":1}}', /^status is \{"toString":1\}, not ALIVE$/],
    ['with true for a port', '{"serviceEndpoint":{"host":"h","port":true}}', /^port true: must be a whole number/],
    ['with a list for a port', '{"serviceEndpoint":{"host":"h","port":[80]}}', /^port \[80\]: must be a whole number/],
  ];
  for (const [what, data, reason] of members) {
    it(`a member of a serverset ${what} is rejected with the reason`, () => {
      const nodes = new Map([['member_1', Buffer.from(data)]]);
      const { instances, rejected } = readNodes(nodes, { path: '/api', decode: { method: 'serverset' } });
      assert.deepEqual(instances, []);
      assert.match(rejected[0]?.reason ?? '', reason);
    });
  }

  const named = (text: string): string => {
    const base64 = Buffer.from(text).toString('base64url');
    return `base64_${base64.length}_${base64}_0000000001`;
  };
  for (const [what, text] of [
    ['is nested too deeply', deep],
    ['is too large', large],
    ['is not JSON', 'hello'],
  ] as const) {
    it(`a name whose record ${what} is a name like others`, () => assert.equal(decodeName(named(text)), undefined));
  }

  it('a name has its record', () => assert.equal(decodeName(named('{"host":"h"}'))?.toString(), '{"host":"h"}'));
});
