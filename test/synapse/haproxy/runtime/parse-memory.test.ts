import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exec } from '../../../../common/daemon/exec.ts';
import { builtModule } from '../../../support/repository.ts';

/** Reads 40 replies of a megabyte, each with other names, and remembers the names of one server of each. */
const script = `
  const { parseServersState } = await import(${JSON.stringify(builtModule('synapse/haproxy/runtime/parse.js'))});
  const titles = '# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_fqdn srv_port srv_check_state srv_agent_state';
  const remembered = [];
  for (let reply = 0; reply < 40; reply++) {
    const rows = Array.from({ length: 10_000 }, (_, i) =>
      \`3 a-backend-with-a-long-name-\${reply} \${i} a-server-with-a-long-name-\${reply}-\${i} 10.0.0.1 2 0 1 1 - 80 0 0\`);
    const [first] = parseServersState(['1', titles, ...rows, ''].join('\\n'));
    remembered.push([first.backend, first.name]);
  }
  gc();
  console.log(process.memoryUsage().heapUsed / 1024 / 1024, remembered.length);`;

describe('what is remembered of replies of HAProxy', () => {
  it('does not keep the replies in memory', async () => {
    const argv = [process.execPath, '--expose-gc', '--input-type=module', '--eval', script] as const;
    const { stdout, stderr } = await exec(argv, { timeoutMs: 120_000 });
    const [megabytes, remembered] = stdout.split(' ').map(Number);
    assert.equal(remembered, 40, stderr);
    assert.ok(Number(megabytes) < 20, `${megabytes} MB for the names of 40 servers`);
  });
});
