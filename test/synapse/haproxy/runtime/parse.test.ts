import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseEnv, parseInfo, parseServersState } from '../../../../synapse/haproxy/runtime/parse.ts';

describe('parsing replies of HAProxy', () => {
  const header =
    '# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port';
  it('finds the columns of show servers state by their titles', () => {
    const reply = [
      '1',
      header,
      '3 b 3 x_10.0.0.1:80 10.0.0.1 2 0 1 1 0 6 3 4 6 0 0 1 - 80 - 0 0 - - 0',
      '3 b 9 nm - 0 32 1 1 0 1 0 0 0 0 0 1 nosuch.invalid 80 - 0 0 - - 0',
      '3 b 7 ok 10.0.0.7 2 0 1 1 0 1 0 0 0 0 0 1 web.test 80 - 0 0 - - 0',
      '3 b 4 ::1:80 ::1 2 9 0 5 0 0 1 0 2 0 0 0 - 80 - 0 0 - - 0',
      '3 b 5 dead ::1 0 4 1 1 0 0 1 0 2 0 0 0 - 80 - 0 0 - - 0',
      '3 b 6 asked ::1 3 0 1 1 0 0 1 0 2 6 0 0 - 80 - 0 0 - - 0',
      '',
    ].join('\n');
    assert.deepEqual(
      parseServersState(reply).map((row) => Object.values(row)),
      [
        ['b', 3, 'x_10.0.0.1:80', 3, '10.0.0.1:80', false, false, false, false, false, false, true, 1, 1],
        ['b', 3, 'nm', 9, 'nosuch.invalid:80', false, false, false, true, false, true, false, 1, 1],
        ['b', 3, 'ok', 7, 'web.test:80', '10.0.0.7:80', false, false, false, false, false, false, false, 1, 1],
        ['b', 3, '::1:80', 4, '::1:80', true, true, false, false, false, false, false, 0, 5],
        ['b', 3, 'dead', 5, '::1:80', false, false, true, true, true, false, false, 1, 1],
        ['b', 3, 'asked', 6, '::1:80', false, false, false, false, false, true, true, 1, 1],
      ],
    );
    assert.throws(() => parseServersState("Can't find backend.\n"), /Can't find backend/);
    assert.throws(() => parseServersState('1\n# be_id\n'), /no column be_name/);
  });
  it('reads a worker from show info, and a variable from show env', () => {
    assert.deepEqual(
      parseInfo(
        'Name: HAProxy\nVersion: 2.6.12-1+deb12u4\nPid: 12\nUptime_sec: 7\nStart_time_sec: 1700000000\nStopping: 1\n',
      ),
      {
        version: '2.6.12-1+deb12u4',
        pid: 12,
        stopping: true,
        uptimeSeconds: 7,
        startedAt: 1_700_000_000,
      },
    );
    assert.throws(() => parseInfo('Permission denied\n'), /Permission denied/);
    assert.equal(parseEnv('SYNAPSE_GEN=abc\n', 'SYNAPSE_GEN'), 'abc');
    assert.equal(parseEnv('Variable not found\n', 'SYNAPSE_GEN'), undefined);
  });
});
