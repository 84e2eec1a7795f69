import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { execute } from '../../../common/cli/daemon.ts';
import type { Program } from '../../../common/cli/program.ts';
import { nerveProgram } from '../../../nerve/whole-program.ts';
import { synapseProgram } from '../../../synapse/whole-program.ts';

/** What the placeholder of an option says of its value → values at the edges. Nothing runs that a command could ask. */
const kinds: Readonly<Record<string, { readonly refused: readonly string[]; readonly taken: readonly string[] }>> = {
  COUNT: {
    refused: ['', ' ', '-1', '1.5', 'NaN', 'Infinity', '1e3', '0x10', '99999999999999999999', '١'],
    taken: ['0', '1', '999999999999999'],
  },
  N: { refused: ['', ' ', '-1', '0', '1.5', 'NaN', 'Infinity', '99999999999999999999'], taken: ['1'] },
  SECONDS: {
    refused: ['', ' ', '-1', 'NaN', 'Infinity', '1e3', '3601', '99999999999999999999', '5s'],
    taken: ['0', '0.5', '3600'],
  },
  TIME: {
    refused: ['', ' ', '-1', '-1s', 'NaN', 'Infinity', '1e999', '5x', '99999999999999999999', '99999999d'],
    taken: ['0', '1ms', '1h'],
  },
};

interface NumericOption {
  readonly program: Program;
  readonly command: string;
  readonly option: string;
  readonly placeholder: string;
}

function numericOptions(): readonly NumericOption[] {
  return [synapseProgram, nerveProgram].flatMap((program) =>
    Object.entries(program.commands).flatMap(([command, { options = {} }]) =>
      Object.entries(options)
        .filter(([, { placeholder = '' }]) => Object.hasOwn(kinds, placeholder))
        .map(([option, { placeholder = '' }]) => ({ program, command, option, placeholder })),
    ),
  );
}

/** Arguments with which a command gets as far as its options. */
const needed: Readonly<Record<string, readonly string[]>> = {
  explain: ['api'],
  drain: ['api'],
  undrain: ['api'],
  weight: ['api', '1'],
};

async function run({ program, command }: NumericOption, more: readonly string[]) {
  let said = '';
  const say = (text: string) => {
    said += text;
  };
  const nowhere = {
    SYNAPSE_ADMIN_LISTEN: '127.0.0.1:1',
    NERVE_ADMIN_LISTEN: '127.0.0.1:1',
    NERVE_CONTROL_SOCKET: '/nonexistent/x',
  };
  const argv = [command, ...(needed[command] ?? []), ...more];
  const code = await execute(program, argv, { env: nowhere, print: say, complain: say });
  return { code, said };
}

describe('the numeric options of every command', () => {
  const found = numericOptions();

  it('are known to this test', () => {
    assert.ok(found.length >= 8, found.map(({ command, option }) => `${command} --${option}`).join(', '));
    const numeric = [synapseProgram, nerveProgram].flatMap(({ name, commands }) =>
      Object.entries(commands).flatMap(([command, { options = {} }]) =>
        Object.entries(options)
          .filter(([, { range, isTime }]) => range !== undefined || isTime === true)
          .map(([option]) => `${name} ${command} --${option}`),
      ),
    );
    const tried = found.map(({ program, command, option }) => `${program.name} ${command} --${option}`);
    assert.deepEqual(
      numeric.filter((option) => !tried.includes(option)),
      [],
    );
  });

  for (const each of found) {
    const { program, command, option, placeholder } = each;
    const kind = kinds[placeholder] ?? { refused: [], taken: [] };
    for (const value of kind.refused) {
      it(`${program.name} ${command} refuses --${option}=${JSON.stringify(value)}`, async () => {
        const { code, said } = await run(each, [`--${option}=${value}`]);
        assert.equal(code, 2, said);
        assert.match(said, new RegExp(`--${option}`));
      });
    }
    it(`${program.name} ${command} refuses --${option} without a value`, async () => {
      const { code, said } = await run(each, [`--${option}`]);
      assert.equal(code, 2, said);
      assert.match(said, new RegExp(`--${option}`));
    });
    for (const value of kind.taken) {
      it(`${program.name} ${command} takes --${option}=${value}`, async () => {
        const { said } = await run(each, [`--${option}=${value}`]);
        assert.doesNotMatch(said, new RegExp(`--${option}`));
      });
    }
  }

  const weights: readonly (readonly [text: string, isTaken: boolean])[] = [
    ['0', true],
    ['256', true],
    ['-', true],
    ['257', false],
    ['-1', false],
    ['1.5', false],
    ['NaN', false],
    ['', false],
    ['1e2', false],
    ['99999999999999999999', false],
  ];
  for (const [text, isTaken] of weights) {
    it(`nerve weight ${isTaken ? 'takes' : 'refuses'} ${JSON.stringify(text)}`, async () => {
      const each = { program: nerveProgram, command: 'weight', option: '', placeholder: '' };
      let said = '';
      const say = (more: string) => {
        said += more;
      };
      const env = { NERVE_CONTROL_SOCKET: '/nonexistent/x', NERVE_ADMIN_LISTEN: '127.0.0.1:1' };
      const code = await execute(each.program, ['weight', 'api', '--', text], { env, print: say, complain: say });
      assert.equal(code, isTaken ? 1 : 2, said);
    });
  }
});
