import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { type Child, startNode } from '../../support/process/child-process.ts';
import { builtModule } from '../../support/repository.ts';

/** A program that ends when its signal aborts, or as `onAbort` says. */
function daemon(
  t: TestContext,
  script: { readonly setup?: string; readonly onAbort?: string; readonly graceMs?: number },
): Child {
  const { setup = '', onAbort = 'clearInterval(busy)', graceMs = 15_000 } = script;
  const module = (name: string): string => JSON.stringify(builtModule(`common/${name}.js`));
  const code = `
    import { createLog } from ${module('daemon/stderr-log')};
    import { daemonSignals } from ${module('daemon/lifecycle')};
    const log = createLog('test');
    const { signal, onReload, finished } = daemonSignals(log, { graceMs: () => ${graceMs} });
    const busy = setInterval(() => {}, 1000);
    signal.addEventListener('abort', () => { ${onAbort} });
    ${setup}
    console.error('started');`;
  return startNode(t, ['--input-type=module', '-e', code]);
}

describe('daemonSignals', () => {
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    it(`shuts down cleanly at ${name}, with exit code 0`, async (t) => {
      const child = daemon(t, {});
      await child.said('started');
      child.process.kill(name);
      assert.equal(await child.ended, 0);
    });
  }

  it('exits at once at a second signal', async (t) => {
    const child = daemon(t, { onAbort: '' });
    await child.said('started');
    child.process.kill('SIGTERM');
    await child.said('"message":"shutting down"');
    child.process.kill('SIGTERM');
    assert.equal(await child.ended, 1);
  });

  it('exits when the shutdown takes longer than its grace period', async (t) => {
    const child = daemon(t, { onAbort: '', graceMs: 50 });
    await child.said('started');
    child.process.kill('SIGTERM');
    assert.equal(await child.ended, 1);
    assert.match(child.errors(), /the shutdown took too long/);
  });

  it('exits with its exit code when the shutdown is complete, whatever still holds the process', async (t) => {
    const child = daemon(t, { onAbort: 'finished()' });
    await child.said('started');
    child.process.kill('SIGTERM');
    assert.equal(await child.ended, 0);
    assert.doesNotMatch(child.errors(), /took too long/);
  });

  it('calls the reload handler at SIGHUP, also for one that came before the handler', async (t) => {
    const child = daemon(t, {
      setup: `process.emit('SIGHUP'); process.emit('SIGHUP'); onReload(() => console.error('reloaded', ++reloads));
        var reloads = 0;`,
    });
    await child.said('reloaded');
    await child.said('started');
    child.process.kill('SIGHUP');
    await child.said('reloaded 1');
    child.process.kill('SIGTERM');
    assert.equal(await child.ended, 0);
    assert.equal(child.errors().match(/reloaded/g)?.length, 2);
  });

  const crashes: readonly [sentence: string, setup: string][] = [
    ['an uncaught error', 'setTimeout(() => { throw new Error("oops"); }, 1);'],
    ['an unhandled rejection', 'void Promise.reject(new Error("oops"));'],
  ];
  for (const [sentence, setup] of crashes) {
    it(`logs ${sentence} with its stack, and shuts down cleanly with exit code 1`, async (t) => {
      const child = daemon(t, { setup, onAbort: 'console.error("cleanly"); clearInterval(busy)' });
      assert.equal(await child.ended, 1);
      assert.match(child.errors(), /"reason":"oops","stack":"Error: oops\\n {4}at /);
      assert.match(child.errors(), /cleanly/);
    });
  }
});

describe('main', () => {
  it('exits without a message when its output is closed', async (t) => {
    const module = JSON.stringify(builtModule('common/cli/daemon.js'));
    const code = `
      import { main } from ${module};
      await main({ name: 'nerve', version: '1', summary: '', configEnv: 'X', loaders: { run: async () => ({ summary: '', run: async ({ print }) => {
        for (;;) { print('line\\n'.repeat(1000)); await new Promise((resolve) => setImmediate(resolve)); }
      } }) } });`;
    const child = startNode(t, ['--input-type=module', '-e', code]);
    child.process.stdout?.once('data', () => child.process.stdout?.destroy());
    assert.equal(await child.ended, 0);
    assert.equal(child.errors(), '');
  });
});
