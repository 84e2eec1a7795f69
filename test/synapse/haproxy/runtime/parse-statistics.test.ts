import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseStatistics } from '../../../../synapse/haproxy/runtime/parse-statistics.ts';

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

  it('reads replies that follow each other, and a quoted check result with line ends, titles and prompts in it', () => {
    const text = 'no\n> \n# pxname,svname\nx,y\n\n> "';
    const reply = `# pxname,svname,last_chk\napi,a,"${text.replaceAll('"', '""')}"\n\n# pxname,svname,last_chk\napi,b,\n\n`;
    assert.deepEqual(parseStatistics(reply), [
      { pxname: 'api', svname: 'a', last_chk: text },
      { pxname: 'api', svname: 'b', last_chk: '' },
    ]);
  });

  const header = '# pxname,svname,last_chk\n';
  for (const [what, reply, reason] of [
    ['is another reply', 'Unknown command\n', /show stat answered "Unknown command/],
    ['is empty', '\n', /show stat answered nothing/],
    ['begins with a row', `api,a,\n${header}`, /show stat answered "api,a,"/],
    ['ends with another reply', `${header}api,a,\nUnknown command\n`, /show stat answered "Unknown command/],
    ['ends within quotes', `${header}api,a,"no\napi,b,\n`, /a row that does not end/],
    ['has a row that is too long', `${header}api,a,"no\n${'x\n'.repeat(100_000)}`, /a row that does not end/],
  ] as const) {
    it(`throws when the text ${what}`, () => {
      assert.throws(() => parseStatistics(reply), reason);
    });
  }
});
