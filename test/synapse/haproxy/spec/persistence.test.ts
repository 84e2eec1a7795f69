import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { persistenceOf } from '../../../../synapse/haproxy/spec/persistence.ts';

describe('persistence in the lines of a backend', () => {
  for (const [lines, survives] of [
    [['mode http', 'balance roundrobin', 'option httpchk'], 'none'],
    [['capture cookie SRV len 32', '# cookie SRV insert'], 'none'],
    [['stick-table type ip size 1m', 'stick store-request src'], 'none'],
    [['cookie SRV insert indirect'], 'drain'],
    [['\tstick on src'], 'drain'],
    [['stick match src table t'], 'drain'],
    [['persist rdp-cookie'], 'drain'],
    [['use-server a if { path /a }'], 'drain'],
    [['cookie SRV insert', 'option persist'], 'always'],
    [['force-persist if { src 10.0.0.0/8 }'], 'always'],
    [['no option persist'], 'none'],
  ] as const) {
    it(`keeps clients at a server that is ${survives === 'none' ? 'open' : survives === 'drain' ? 'drained' : 'in maintenance'}: ${lines.join('; ')}`, () => {
      assert.equal(persistenceOf(lines).survives, survives);
    });
  }
});
