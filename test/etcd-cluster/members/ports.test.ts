import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';

const module = new URL('../../../etcd-cluster/members/ports.js', import.meta.url).href;

describe('free ports', () => {
  it('are far apart for processes that look at the same time', async (t) => {
    const script = `const { freePort } = await import(${JSON.stringify(module)});
      console.log(await freePort());
      process.stdin.resume();`;
    const children = Array.from({ length: 6 }, () =>
      spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] }),
    );
    t.after(() => {
      for (const child of children) child.kill('SIGKILL');
    });
    // None ends before all have their ports.
    const ports = await Promise.all(children.map(async ({ stdout }) => Number(String(await once(stdout, 'data')))));
    for (const { stdin } of children) stdin.end();
    await Promise.all(children.map((child) => once(child, 'exit')));
    assert.equal(new Set(ports).size, ports.length);
    const parts = new Set(ports.map((port) => Math.floor((port - 10_000) / 200)));
    // The first port of a process may be the first one of the next part, which is a neighbour's.
    assert.ok(parts.size >= 3, `ports ${ports.join(', ')}`);
  });
});
