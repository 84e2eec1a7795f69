import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { findProgram } from '../../../deploy/tools/debian/programs.ts';
import { tempFolder } from '../temp-folder.ts';

/** wrk is told to end when the test has done its work; this bounds a hang. */
const longest = '120s';
/**
 * The longest pause of a connection before its next request, milliseconds: a load that uses the whole machine shows no
 * more failures, and only slows other tests down.
 */
const pause = 10;

/**
 * Requests to `port` over and over, on connections that are kept or, with `close`, on a new one each time.
 * @returns what ends it, and holds that every request was answered well
 */
export async function steadyLoad(
  t: TestContext,
  port: number,
  { close = false }: { readonly close?: boolean } = {},
): Promise<() => Promise<void>> {
  const wrk = await findProgram('wrk');
  const script = join(await tempFolder(t), 'load.lua');
  await writeFile(script, `function delay() return math.random(0, ${pause}) end\n`);
  const header = close ? ['-H', 'Connection: close'] : [];
  const child = spawn(wrk, ['-t1', '-c8', `-d${longest}`, ...header, '-s', script, `http://127.0.0.1:${port}/`]);
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const ended = once(child, 'close');
  return async () => {
    assert.equal(child.exitCode, null, `the load ended too early: ${output}`);
    child.kill('SIGINT');
    await ended;
    assert.ok(Number(/(\d+) requests in/.exec(output)?.[1]) > 1_000, output);
    assert.doesNotMatch(output, /Socket errors|Non-2xx/, output);
  };
}
