import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { describe, it } from 'node:test';
import { builtModule } from '../../support/repository.ts';

const module = (name: string): string => JSON.stringify(builtModule(`common/${name}.js`));

/** Runs a program whose output or log is on a disk without any room; it is ended when it does not end by itself. */
function onFullDisk(which: 'stdout' | 'stderr', run: string) {
  const code = `
    import { main } from ${module('cli/daemon')};
    import { daemonSignals } from ${module('daemon/lifecycle')};
    import { sleep } from ${module('async/sleep')};
    const run = async ({ openLog, print }) => { const log = await openLog(); ${run} };
    await main({ name: 'nerve', version: '1', summary: '', configEnv: 'X', loaders: { run: async () => ({ summary: '', run }) } });`;
  const full = openSync('/dev/full', 'w');
  const stdio: ['ignore', number | 'pipe', number | 'pipe'] = ['ignore', 'pipe', 'pipe'];
  stdio[which === 'stdout' ? 1 : 2] = full;
  try {
    return spawnSync(process.execPath, ['--input-type=module', '-e', code], {
      stdio,
      encoding: 'utf8',
      timeout: 20_000,
      killSignal: 'SIGKILL',
    });
  } finally {
    closeSync(full);
  }
}

describe('a full disk', () => {
  it('does not end a daemon that logs to it, nor its work', () => {
    const { status, stdout } = onFullDisk(
      'stderr',
      `const { signal, finished } = daemonSignals(log, { graceMs: () => 1000 });
       log.info('begun');
       await sleep(50, signal);
       log.info('still there');
       await sleep(50, signal);
       print(signal.aborted ? 'ended' : 'alive');
       finished();`,
    );
    assert.deepEqual([status, stdout], [0, 'alive']);
  });

  it('is the reason that a command reports when it cannot print, without a stack', () => {
    const { status, stderr } = onFullDisk('stdout', `print('x'); await sleep(1000, new AbortController().signal);`);
    assert.deepEqual([status, stderr], [1, 'nerve: cannot print: no space left on the disk\n']);
  });
});
