import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { plain } from '../../../common/cli/table.ts';
import { silentLog } from '../../../common/daemon/log.ts';
import { events } from '../../../synapse/commands/events.ts';

describe('synapse events --lines', () => {
  let server: Server;
  const known = Array.from({ length: 11 }, (_, index) => ({
    seq: index + 1,
    time: '2026-11-28T00:00:00.000Z',
    kind: 'file_written',
    level: 'info',
    bytes: index,
  }));

  before(async () => {
    server = createServer((_, response) => response.end(JSON.stringify({ events: known, last: known.length })));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(() => server.close());

  const shown = async (lines: string | undefined): Promise<readonly number[]> => {
    const printed: string[] = [];
    await events.run({
      version: '',
      config: undefined,
      options: { lines, json: true },
      args: [],
      env: { SYNAPSE_ADMIN_LISTEN: `127.0.0.1:${(server.address() as AddressInfo).port}` },
      openLog: async () => silentLog,
      print: (text) => printed.push(text),
      printExact: (text) => printed.push(text),
      progress: () => {},
      style: plain,
      needConfig: () => assert.fail('no configuration is needed'),
    });
    return printed.map((line) => JSON.parse(line).seq);
  };

  const all = known.map(({ seq }) => seq);
  for (const [lines, expected] of [
    [undefined, all],
    ['0', []],
    ['1', [11]],
    ['10', all.slice(1)],
    ['11', all],
    ['12', all],
    ['999999', all],
  ] as const) {
    it(`shows ${expected.length} of eleven events for ${lines ?? 'no number'}`, async () =>
      assert.deepEqual(await shown(lines), expected));
  }
});
