import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseStatistics } from '../../../../synapse/haproxy/statistics/parse.ts';

describe('parsing the reply of show stat', () => {
  it('finds the columns by their titles', () => {
    const reply = '# pxname,svname,scur,status,new\napi,BACKEND,3,UP,x\nweb,BACKEND,0,DOWN,y\n\n';
    assert.deepEqual(parseStatistics(reply), [
      { pxname: 'api', svname: 'BACKEND', scur: '3', status: 'UP' },
      { pxname: 'web', svname: 'BACKEND', scur: '0', status: 'DOWN' },
    ]);
  });

  it('reads a quoted check result with commas and quotes in it', () => {
    const reply = '# pxname,last_chk,status\napi,"no, ""not"" yet",DOWN\n';
    assert.deepEqual(parseStatistics(reply), [{ pxname: 'api', last_chk: 'no, "not" yet', status: 'DOWN' }]);
  });

  it('throws when the text is another reply', () => {
    assert.throws(() => parseStatistics('Unknown command\n'), /show stat answered "Unknown command/);
  });
});
