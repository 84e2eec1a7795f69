import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import { sleep } from '../../common/async/sleep.ts';
import { exec } from '../../common/daemon/exec.ts';
import { builtFile } from '../support/repository.ts';
import { allProperties, type NamedProperty, trySeed } from './property.ts';
import { Fuzzing } from './run.ts';

const folder = new URL('planted/', import.meta.url).href;
const smallestFailure = 'planted.fuzz: no number is larger than 1000';

/** Its cases take longer than a turn. */
const slow = fc.asyncProperty(fc.nat(), () => sleep(10)) as fc.IRawProperty<unknown>;

describe('a run of properties', () => {
  let planted: readonly NamedProperty[];
  const named = (text: string): NamedProperty => {
    const found = planted.find(({ name }) => name.includes(text));
    assert.ok(found !== undefined);
    return found;
  };
  before(async () => {
    planted = await allProperties(folder);
  });

  it('makes a value simpler that does not hold, and its seed and path give that value again', async () => {
    const tried = named('larger');
    const { failure } = await trySeed(tried, { seed: 1, cases: 1_000 });
    assert.match(failure ?? '', /value \(\d+ times made simpler\): \[ 1001 \]/);
    const [, seed = '', path = ''] = /--seed (\S+) --path (\S+)/.exec(failure ?? '') ?? [];
    const again = await trySeed(tried, { seed: Number(seed), path, cases: 1_000 });
    assert.match(again.failure ?? '', /: \[ 1001 \]/);
  });

  it('does not take a turn that is over before its first case for a failure', async () => {
    const tried = named('not negative');
    const never = { ...tried, open: () => Promise.resolve({ property: slow }) };
    assert.deepEqual(await trySeed(never, { seed: 1, cases: 1_000, limitMs: 0 }), { cases: 0, failure: null });
  });

  it('names what failed and what hangs, goes on with the others, and ends', async () => {
    const lines: string[] = [];
    const fuzzing = new Fuzzing(planted, { seed: 1, write: (line) => lines.push(line), folder, hungMs: 2_000 });
    assert.equal(await fuzzing.run(2, 3_000), 1);
    const text = lines.join('\n');
    assert.match(text, new RegExp(`FAILED ${smallestFailure}\n {2}repeat: npm run fuzz .* --seed \\d+ --path \\S+\n`));
    assert.match(text, /FAILED planted\.fuzz: a case ends\n {2}a case takes longer than 2 s/);
    assert.match(text, /held: planted\.fuzz: a number is not negative \([1-9]\d* cases of [1-9]\d* seeds\)/);
  });

  it('ends by itself as a program, with exit code 0 when all properties held', async () => {
    const [first] = await allProperties();
    const argv = [process.execPath, builtFile('test/fuzz/main.js'), '--only', first?.name ?? '', '--minutes', '0.01'];
    const { code, stdout, stderr } = await exec(argv as [string, ...string[]], { timeoutMs: 120_000 });
    assert.equal(code, 0, `${stdout}${stderr}`);
    assert.match(stdout, /^1 properties, seeds from \d+/);
    assert.match(stdout, /held: .* \([1-9]\d* cases/);
  });
});
