import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { execute } from '../../../common/cli/daemon.ts';
import { type CommandContext, type Program, UsageError } from '../../../common/cli/program.ts';
import { ConfigError } from '../../../common/config/config.ts';

function program(run: (context: CommandContext, command: string) => Promise<void>): Program {
  return {
    name: 'nerve',
    version: '1.2.3',
    summary: 'Does things.',
    configEnv: 'NERVE_CONFIG',
    options: {
      instance: { type: 'string', short: 'i', placeholder: 'ID', env: 'NERVE_ID', doc: 'who' },
      'check-config': { type: 'boolean', short: 'k', doc: 'only check' },
    },
    defaultCommand: (options) => (options['check-config'] ? 'check' : 'run'),
    commands: {
      run: { summary: 'Runs.', run: (context) => run(context, 'run') },
      check: { summary: 'Checks.', run: (context) => run(context, 'check') },
      drain: {
        summary: 'Drains.',
        usage: 'SERVICE [INSTANCE]',
        options: { wait: { type: 'string', doc: 'seconds' }, json: { type: 'boolean', doc: 'as JSON' } },
        run: (context) => run(context, 'drain'),
      },
      fail: { summary: 'Fails.', run: async () => 1 },
    },
  };
}

async function invoke(
  argv: readonly string[],
  env: NodeJS.ProcessEnv = {},
  run?: (context: CommandContext) => Promise<void>,
) {
  let ran: object | undefined;
  let out = '';
  let err = '';
  const code = await execute(
    program(async (context, command) => {
      const { config, options, args } = context;
      ran = { command, config, options: { ...options, config: undefined }, args };
      await run?.(context);
    }),
    argv,
    { env, print: (text) => (out += text), complain: (text) => (err += text) },
  );
  return { code, ran: JSON.parse(JSON.stringify(ran ?? null)) as unknown, out, err };
}

describe('execute', () => {
  const good: readonly [sentence: string, argv: readonly string[], ran: object, env?: NodeJS.ProcessEnv][] = [
    ['no command is run', ['-c', 'f'], { command: 'run', config: 'f', options: {}, args: [] }],
    ['run by name', ['run', '--config', 'f'], { command: 'run', config: 'f', options: {}, args: [] }],
    [
      'run by name, and check because of -k',
      ['run', '-k'],
      { command: 'check', options: { 'check-config': true }, args: [] },
    ],
    [
      '-k means check',
      ['-c', 'f', '-k'],
      { command: 'check', config: 'f', options: { 'check-config': true }, args: [] },
    ],
    [
      'the file may come from the environment',
      [],
      { command: 'run', config: 'e', options: {}, args: [] },
      { NERVE_CONFIG: 'e' },
    ],
    [
      'the command line goes before the environment',
      ['-c', 'f', '-i', 'x'],
      { command: 'run', config: 'f', options: { instance: 'x' }, args: [] },
      { NERVE_CONFIG: 'e', NERVE_ID: 'y' },
    ],
    [
      'an empty variable counts as none',
      ['-c', 'f'],
      { command: 'run', config: 'f', options: {}, args: [] },
      { NERVE_ID: '' },
    ],
    [
      'options stand anywhere',
      ['drain', '--wait', '5', 'api', '-c', 'f', 'i-1', '--json'],
      { command: 'drain', config: 'f', options: { wait: '5', json: true }, args: ['api', 'i-1'] },
    ],
    [
      'options may come before the command',
      ['-c', 'f', 'drain', 'api'],
      { command: 'drain', config: 'f', options: {}, args: ['api'] },
    ],
    [
      'values of options are not taken for commands',
      ['--wait=drain', 'drain', 'api'],
      { command: 'drain', options: { wait: 'drain' }, args: ['api'] },
    ],
    ['arguments after -- are no options', ['drain', '--', '-x'], { command: 'drain', options: {}, args: ['-x'] }],
  ];
  for (const [sentence, argv, ran, env] of good) {
    it(`accepts ${sentence}`, async () => {
      assert.deepEqual(await invoke(argv, env), { code: 0, ran, out: '', err: '' });
    });
  }

  const wrong: readonly [argv: readonly string[], message: string, tryCommand?: string][] = [
    [['chekc'], "unknown command 'chekc'; did you mean check?"],
    [['qqqqqq'], "unknown command 'qqqqqq'; known are run, check, drain, fail"],
    [['__proto__'], "unknown command '__proto__'; known are run, check, drain, fail"],
    [['--confg', 'f'], "unknown option '--confg'; did you mean --config?"],
    [['-x'], "unknown option '-x'"],
    [['--confg', 'f', 'drain'], "unknown option '--confg'; did you mean --config?"],
    [['run', '--wait', '5'], "unknown option '--wait'", 'run'],
    // Not an option that only another command has.
    [['run', '--jso'], "unknown option '--jso'", 'run'],
    [['drain', '--jso', 'api'], "unknown option '--jso'; did you mean --json?", 'drain'],
    [['run', 'extra'], "unexpected argument 'extra'", 'run'],
    [['run', '/etc/x'], "unexpected argument '/etc/x'; a configuration file is named with -c /etc/x", 'run'],
    [['x.yaml'], "unknown command 'x.yaml'; a configuration file is named with -c x.yaml"],
    [['check', 'x.json'], "unexpected argument 'x.json'; a configuration file is named with -c x.json", 'check'],
    [['drain'], 'missing SERVICE', 'drain'],
    [['drain', 'a', 'b', 'c'], "unexpected argument 'c'", 'drain'],
    [['-c'], "option '-c' needs a value: -c FILE"],
    [['--config='], "option '--config' needs a value: --config FILE"],
    [['-k=yes'], "unknown option '-='"],
    [['--check-config=yes'], "option '--check-config' takes no value"],
  ];
  for (const [argv, message, tryCommand] of wrong) {
    it(`refuses: ${argv.join(' ')}`, async () => {
      const result = await invoke(argv);
      const help = tryCommand === undefined ? 'nerve --help' : `nerve ${tryCommand} --help`;
      assert.equal(result.err, `nerve: ${message}\nTry '${help}'.\n`);
      assert.deepEqual([result.code, result.ran, result.out], [2, null, '']);
    });
  }

  it('shows help for the program and for a command, and its version', async () => {
    const help = await invoke(['--help']);
    assert.match(help.out, /^Usage: nerve \[COMMAND\]/);
    assert.match(help.out, /\n {2}drain SERVICE \[INSTANCE\] {2}Drains\.\n/);
    assert.match(help.out, /-c, --config FILE +configuration file, JSON or YAML \(also NERVE_CONFIG\)\n/);
    const drain = await invoke(['drain', '-h']);
    assert.match(drain.out, /^Usage: nerve drain \[OPTIONS\] SERVICE \[INSTANCE\]\n\nDrains\.\n/);
    assert.match(drain.out, /--wait VALUE +seconds\n/);
    assert.deepEqual(await invoke(['--version']), { code: 0, ran: null, out: 'nerve 1.2.3\n', err: '' });
  });

  it('passes the colour option on, and refuses unknown values', async () => {
    let shown = '';
    const show = async ({ style }: CommandContext): Promise<void> => {
      shown = style('good', 'up');
    };
    await invoke(['run', '--color', 'always'], {}, show);
    assert.notEqual(shown, 'up');
    await invoke(['run'], {}, show);
    assert.equal(shown, 'up');
    const wrong = await invoke(['run', '--color', 'sometimes'], {}, show);
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /option '--color': 'sometimes' is not one of auto, always, never/);
  });

  it('shows the meanings of exit codes, also those of one command', async () => {
    assert.match(
      (await invoke(['--help'])).out,
      /\nExit codes:\n {2}0 {2}done\n {2}1 {2}failed while running\n {2}2 {2}wrong/,
    );
  });

  it('exits with the code of the command, and with 1 when it fails', async () => {
    assert.equal((await invoke(['fail'])).code, 1);
    const failed = await invoke(['run'], {}, () => Promise.reject(new Error('broken', { cause: new Error('why') })));
    assert.deepEqual([failed.code, failed.err], [1, 'nerve: broken: why\n']);
  });

  it('exits with 2 for an invalid configuration, with one problem per line', async () => {
    const problems = [
      { file: 'f', path: 'services.api.port', message: 'is required' },
      { file: 'f', path: 'x', message: 'is old', severity: 'warning' as const },
    ];
    const failed = await invoke(['run'], {}, () => Promise.reject(new ConfigError(problems)));
    assert.deepEqual([failed.code, failed.err], [2, 'f: services.api.port: is required\nf: x: warning: is old\n']);
  });

  it('exits with 2 when a command needs a configuration file and none is named', async () => {
    const failed = await invoke(['run'], {}, async (context) => void context.needConfig());
    assert.deepEqual(
      [failed.code, failed.err],
      [2, "nerve: name a configuration file with -c FILE or NERVE_CONFIG\nTry 'nerve run --help'.\n"],
    );
    const usage = await invoke(['run'], {}, () => Promise.reject(new UsageError('no')));
    assert.equal(usage.code, 2);
  });
});
