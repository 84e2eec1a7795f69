import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Command, ProgramSource } from '../../../common/cli/program.ts';
import { programFor } from '../../../common/cli/whole-program.ts';

const command: Command = { summary: '', run: async () => {} };
const timed: Command = {
  ...command,
  usage: '[NAME]',
  options: { timeout: { type: 'string', doc: 'how long', values: ['status', '5s'] } },
};

/** A program like nerve, and which of its commands were loaded. */
function sourceOf(): { readonly source: ProgramSource; readonly loaded: string[] } {
  const loaded: string[] = [];
  const loader = (name: string, one: Command) => async () => {
    loaded.push(name);
    return one;
  };
  const source: ProgramSource = {
    ...{ name: 'nerve', version: '1', summary: '', configEnv: 'X' },
    options: { only: { type: 'boolean', short: 'k', doc: 'same as check' } },
    defaultCommand: ({ only }) => (only ? 'check' : 'run'),
    loaders: {
      run: loader('run', command),
      check: loader('check', command),
      status: loader('status', timed),
      drain: loader('drain', timed),
    },
  };
  return { source, loaded };
}

describe('the commands that a command line needs', () => {
  const all = ['run', 'check', 'status', 'drain'];
  const cases: readonly (readonly [line: string, needed: readonly string[]])[] = [
    ['', ['run']],
    ['-c file', ['run']],
    ['--version', ['run']],
    ['status', ['run', 'status']],
    ['status --timeout 5s', ['run', 'status']],
    ['status --help', ['run', 'status']],
    // The word may be a value; the command of that name is loaded for nothing.
    ['-c status drain', ['run', 'status', 'drain']],
    // The help of the program, other defaults, and mistakes, need all of them.
    ['--help', all],
    ['-k', all],
    ['run -k', all],
    ['stauts', all],
    ['--timeout 5s', all],
  ];
  for (const [line, needed] of cases) {
    it(`are ${needed.join(', ')} for '${line}'`, async () => {
      const { source, loaded } = sourceOf();
      const program = await programFor(source, line.split(' ').filter(Boolean), {});
      assert.deepEqual(Object.keys(program.commands), needed);
      assert.ok(needed.every((name) => loaded.includes(name)));
    });
  }
});
