import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UsageError } from '../../../common/cli/program.ts';
import { exec } from '../../../common/daemon/exec.ts';
import { benchNumbers, readServers } from '../../bench/options.ts';
import { fuzzNumbers } from '../../fuzz/numbers.ts';
import { simulationNumbers } from '../../simulation/numbers.ts';
import { soakNumbers } from '../../soak/numbers.ts';
import { patienceMs } from '../../support/eventually.ts';
import { builtFile } from '../../support/repository.ts';
import { parseToolLine, type ToolNumber } from '../../support/tool-options.ts';

const tools: Readonly<Record<string, Readonly<Record<string, ToolNumber>>>> = {
  bench: benchNumbers,
  fuzz: fuzzNumbers,
  simulation: simulationNumbers,
  soak: soakNumbers,
};

/** Values that no number has, and those beyond each edge. */
function refusedBy({ least, most, fractions = false }: ToolNumber): readonly string[] {
  return [
    ...['', ' ', '-1', 'NaN', 'Infinity', '1e9', '0x10', '1_000', '99999999999999999999', '٣'],
    ...(fractions ? [] : ['1.5']),
    ...(least > 0 ? ['0'] : []),
    String(most + 1),
  ];
}

describe('the numeric options of the tools', () => {
  for (const [tool, numbers] of Object.entries(tools)) {
    for (const [name, range] of Object.entries(numbers)) {
      for (const value of refusedBy(range)) {
        it(`${tool} refuses --${name}=${JSON.stringify(value)} and names the option`, () => {
          assert.throws(
            () => parseToolLine([`--${name}=${value}`], { numbers }),
            (error) => error instanceof UsageError && error.message.includes(`--${name} `),
          );
        });
      }
      it(`${tool} takes --${name} at both edges, and has a value without it`, () => {
        const read = (...argv: readonly string[]) => parseToolLine(argv, { numbers }).numbers[name];
        for (const value of [range.least, range.most]) assert.equal(read(`--${name}=${value}`), value);
        assert.equal(read(), range.otherwise);
        assert.ok(range.otherwise >= range.least && range.otherwise <= range.most);
      });
    }
  }

  for (const text of ['', ',', '10,', '10,0', '10,-1', '10,x', '10;20', '1e9', '10,1.5', '999999999']) {
    it(`bench refuses --servers=${JSON.stringify(text)}`, () => {
      assert.throws(() => readServers(text), /^UsageError: --servers /);
    });
  }

  const lines: readonly (readonly [tool: string, argv: readonly string[], said: RegExp])[] = [
    ...Object.keys(tools).flatMap((tool) => [
      [tool, ['--minutes', '--seeds', '--rounds'], /'--(?:minutes|seeds|rounds)/] as const,
      [tool, ['--no-such'], /--no-such/] as const,
    ]),
    ['bench', ['--rounds', '1e9'], /^--rounds 1e9: must be a whole number, from 1 to 10000$/m],
    ['bench', ['propagatoin'], /^unknown section propagatoin; did you mean propagation\?$/m],
    ['bench', ['--dist', '/nonexistent'], /^--dist \/nonexistent: there is no such folder$/m],
    ['bench', ['--etcd', '2'], /^--etcd 2: known are /m],
    ['fuzz', ['--minutes', '0'], /^--minutes 0: must be a number, from 0\.01 to 10080$/m],
    ['fuzz', ['--only', 'no such property'], /^--only no such property: /m],
    ['fuzz', ['--path', '0'], /^--path needs --only/m],
    ['fuzz', ['word'], /^unexpected argument 'word'$/m],
    ['simulation', ['--seeds', '0'], /^--seeds 0: must be a whole number, from 1 to 1000000$/m],
    ['simulation', ['--planted', 'no such fault'], /^--planted no such fault: /m],
    ['simulation', ['5'], /^unexpected argument '5'$/m],
    ['soak', ['--minutes', 'NaN'], /^--minutes NaN: must be a number, from 0\.01 to 10080$/m],
    ['soak', ['--etcd', '3.3'], /^--etcd 3\.3: known are /m],
  ];
  for (const [tool, argv, said] of lines) {
    it(`${tool} ${argv.join(' ')} ends with 2 before it begins`, async () => {
      const line: [string, ...string[]] = [process.execPath, builtFile(`test/${tool}/main.js`), ...argv];
      const { code, stdout, stderr } = await exec(line, { timeoutMs: patienceMs });
      assert.deepEqual([code, stdout], [2, ''], stderr);
      assert.match(stderr, said);
      assert.match(stderr, /Try '--help'\.$/m);
    });
  }
});
