import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';
import { shell } from '../../common/daemon/exec.ts';
import { startChild, waitFor } from '../../deploy/demo/child.ts';
import { findOnPath } from '../../deploy/tools/debian/programs.ts';
import { blocks } from '../support/docs/markdown.ts';
import { eventually } from '../support/eventually.ts';
import { processesWith } from '../support/process/processes.ts';
import { root } from '../support/repository.ts';
import { tempFolder } from '../support/temp-folder.ts';

/** Folders that a clone does not have. */
const notCloned = new Set(['.git', '.cache', 'dist', 'node_modules']);

describe('a new user', () => {
  it("gets from a fresh clone to the first request, and further, with only the README's commands", async (t) => {
    const folder = await tempFolder(t);
    const clone = join(folder, 'clone');
    const temporary = join(folder, 'tmp');
    await mkdir(temporary);
    await cp(root, clone, { recursive: true, filter: (path) => !notCloned.has(basename(path)) });
    const [tryIt = '', fiveMinutes = ''] = blocks(await readFile(join(clone, 'README.md'), 'utf8'), 'sh');
    const [demo = ''] = tryIt.split('\n');
    assert.match(demo, /^npm run demo\b/);

    const began = performance.now();
    const seconds = (): string => `${((performance.now() - began) / 1_000).toFixed(1)} s`;
    const argv = ['/bin/sh', '-c', `cd '${clone}' && ${demo}`] as const;
    const env = { TMPDIR: temporary, PROGRAMS_CACHE: undefined };
    const terminal = await startChild(argv, { name: demo, logFile: join(folder, 'demo.log'), env });
    t.after(() => terminal.running && process.kill(-terminal.pid, 'SIGKILL'));
    await waitFor(terminal, () => /api-2_\S+\s+up.*Ctrl-C ends everything/s.test(terminal.output()), 400_000);
    t.diagnostic(`the demo was up after ${seconds()}`);

    const port = /curl localhost:(\d+) +# api$/m.exec(terminal.output())?.[1];
    const lines = fiveMinutes.replaceAll('localhost:7001', `localhost:${port}`).trim().split('\n');
    /** Runs a line as the second terminal does, whose first line has set the environment. */
    const type = async (line: string): Promise<string> => {
      const [enter = ''] = lines;
      const { code, stdout, stderr } = await shell(`${enter}\n${line}`, { timeoutMs: 60_000, cwd: clone });
      assert.equal(code, 0, `${line}: ${stdout}${stderr}`);
      return stdout;
    };
    const expected: Readonly<Record<string, RegExp>> = {
      'curl localhost': /^api-[12]\b/,
      'synapse status': /all is well/i,
      'synapse explain': /api-1_\S+ +yes +✓ takes traffic/,
      'synapse services': /api +api-2_/,
      'nerve status': /api/,
      'nerve drain': /./,
      'nerve undrain': /./,
      'kill $API_1': /^$/,
    };
    for (const [index, line] of lines.entries()) {
      if (index === 0) continue;
      const [, answer = /^never$/] = Object.entries(expected).find(([start]) => line.startsWith(start)) ?? [];
      assert.match(await type(line), answer, line);
      if (index === 1) t.diagnostic(`the first request through HAProxy was answered after ${seconds()}`);
      if (line.startsWith('kill')) await eventually(async () => assert.match(await type(lines[1] as string), /^api-2/));
    }
    t.diagnostic(`every command of the README had answered after ${seconds()}`);

    // Ctrl-C reaches all processes of the terminal.
    process.kill(-terminal.pid, 'SIGINT');
    await eventually(() => assert.equal(terminal.running, false));
    assert.deepEqual(await readdir(temporary), []);
    await eventually(async () => assert.deepEqual(await processesWith(temporary), []));
    // The programs that were not on the PATH were unpacked below the clone, and nothing else is left there.
    const installed = await Promise.all([findOnPath('etcd'), findOnPath('haproxy')]);
    assert.deepEqual(await readdir(join(clone, '.cache')), installed.includes(undefined) ? ['programs'] : []);
  });
});
