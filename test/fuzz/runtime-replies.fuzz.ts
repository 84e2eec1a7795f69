import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseProc } from '../../synapse/haproxy/reload/master.ts';
import { parseEnv, parseInfo, parseServersState } from '../../synapse/haproxy/runtime/parse.ts';
import { parseStatistics } from '../../synapse/haproxy/runtime/parse-statistics.ts';
import { judge } from '../../synapse/haproxy/runtime/reply.ts';
import { parseSessions } from '../../synapse/haproxy/runtime/sessions.ts';
import { property } from './property.ts';

const stateTitles =
  '# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port';
const statTitles = '# pxname,svname,qcur,scur,status,weight,act,bck,iid,type,addr,check_status,last_chk,lastchg,stot,';
const fragment = fc.oneof(
  fc.constantFrom(
    ...[stateTitles, statTitles, 'Version: 3.2.0', 'Pid: 7', 'Stopping: 1', 'Uptime_sec: 5', 'Start_time_sec: 9'],
    ...[
      '3 api 1 i_10.0.0.1:1 10.0.0.1 2 0 1 1 0 1 0 0 0 0 0 0 - 1 - 0 0 - - 0',
      'api,i_10.0.0.1:1,0,3,UP,1,1,0,3,2,,,,,4,',
    ],
    ...[
      'New server registered.',
      'Proxy is disabled.',
      'No such server.',
      '1',
      '> ',
      '# ',
      '"',
      '""',
      ',',
      '# workers',
      '# old workers',
    ],
    ...[
      '7 master 3 [failed: 1] 0d00h00m01s 3.2',
      '8 worker 1',
      'SYNAPSE_GEN=abc',
      '\r',
      '\0',
      '\u2028',
      '-',
      'NaN',
      '1e9',
      '-1',
    ],
  ),
  fc.string({ maxLength: 20 }),
  fc.integer().map(String),
);
/** Replies that are almost right, and replies that are not. */
const reply = fc
  .array(fc.tuple(fragment, fc.constantFrom('\n', ' ', ',', '', '\n\n')), { maxLength: 30 })
  .map((parts) => parts.flat().join(''));

/** The errors that say what HAProxy answered. Any other is a mistake of ours. */
function readOrRefuse<Read>(read: () => Read): Read | undefined {
  try {
    return read();
  } catch (error) {
    assert.equal((error as Error).constructor, Error, String(error));
    assert.match((error as Error).message, /^show (servers state|stat|info|proc) (answered|has no column)/);
    assert.ok((error as Error).message.length < 800);
    return undefined;
  }
}

const isWhole = (value: number) => Number.isInteger(value);

/** A row as HAProxy prints it, with other cells in some places. */
const stateRow = fc
  .tuple(fc.nat({ max: 24 }), fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom('', 'x', '1.5', '-', 'Infinity')))
  .map(([at, cell]) => {
    const cells = '3 api 1 i_10.0.0.1:1 10.0.0.1 2 0 1 1 0 1 0 0 0 0 0 0 - 1 - 0 0 - - 0'.split(' ');
    return cells.with(at, cell).join(' ');
  });

export const properties = [
  property(
    'whatever HAProxy replies, reading it ends with a result or with an error that quotes the reply',
    reply,
    (text) => {
      const rows = readOrRefuse(() => parseServersState(text)) ?? [];
      for (const row of rows) {
        const { backendId, id, weight, initialWeight } = row;
        assert.ok([backendId, id, weight, initialWeight].every(isWhole), JSON.stringify(row));
        assert.ok(row.name !== '' && row.backend !== '');
      }
      readOrRefuse(() => parseStatistics(text));
      for (const count of (readOrRefuse(() => parseSessions(text)) ?? new Map<string, number>()).values()) {
        assert.ok(count >= 0, String(count));
      }
      const info = readOrRefuse(() => parseInfo(text));
      assert.ok(info === undefined || [info.pid, info.uptimeSeconds, info.startedAt ?? 0].every(Number.isFinite));
      const proc = readOrRefuse(() => parseProc(text));
      assert.ok(proc === undefined || (proc.oldWorkers >= 0 && proc.reloads >= 0));
      assert.ok(!parseEnv(text, 'SYNAPSE_GEN')?.includes('\n'));
      for (const kind of ['add', 'health', 'agent', 'state', 'weight', 'maxconn'] as const) {
        const result = judge(kind, text);
        assert.ok(result.result === 'done' || (result.message.length <= 500 && result.message !== ''));
      }
    },
  ),
  property(
    'a list of servers with a cell that HAProxy does not print is refused as a whole, or read as it is',
    fc.array(stateRow, { minLength: 1, maxLength: 4 }),
    (lines) => {
      const rows = readOrRefuse(() => parseServersState(`1\n${stateTitles}\n${lines.join('\n')}\n`));
      if (rows === undefined) return;
      // A cell may have a line end: then a row is broken, and the list is refused.
      assert.equal(rows.length, lines.length);
      for (const { weight, id } of rows) assert.ok(isWhole(weight) && isWhole(id));
    },
  ),
];
