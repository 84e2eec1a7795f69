import { parseArgs } from 'node:util';
import { formatTable } from './describe.ts';
import { createLog, type Log, reasonOf } from './log.ts';
import { ConfigError, formatProblem } from './problem.ts';
import { nearest } from './schema.ts';

export { type DaemonSignals, daemonSignals } from './lifecycle.ts';

/** One option of the command line. */
export interface OptionSpec {
  readonly type: 'string' | 'boolean';
  readonly doc: string;
  /** One letter. */
  readonly short?: string;
  /** What stands for the value in the help, default VALUE. */
  readonly placeholder?: string;
  /** The environment variable that also sets it. */
  readonly env?: string;
}

export interface CommandContext {
  /** The configuration file; undefined when none is named. */
  readonly config: string | undefined;
  /** Only options that were given, by their long name. */
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
  /** Writes to standard output, as is. */
  readonly print: (text: string) => void;
  /** The file, for commands that cannot do without one. @throws {UsageError} */
  needConfig(): string;
}

export interface Command {
  readonly summary: string;
  /** What follows the options: `SERVICE [INSTANCE]`. As many arguments are accepted as it names. */
  readonly usage?: string;
  readonly options?: Readonly<Record<string, OptionSpec>>;
  /** Resolves to the exit code, default 0. */
  run(context: CommandContext): Promise<number> | Promise<void>;
}

export interface Program {
  readonly name: 'nerve' | 'synapse';
  readonly version: string;
  readonly summary: string;
  /** The environment variable that names the configuration file. */
  readonly configEnv: string;
  /** Options that every command takes, besides `--config`, `--help` and `--version`. */
  readonly options?: Readonly<Record<string, OptionSpec>>;
  /** `run` is what runs when no command is named. */
  readonly commands: Readonly<Record<string, Command>>;
  /** Another default command for these options: `-k` means check. */
  readonly defaultCommand?: (options: CommandContext['options']) => string;
}

/** A command line that makes no sense; exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/**
 * Runs a program: parses the command line and sets `process.exitCode` to 0 (done), 1 (failed) or 2 (wrong usage or
 * configuration).
 */
export async function main(program: Program): Promise<void> {
  // `synapse services --watch | head` ends when head does, quietly; a log pipe that closed must not end a daemon.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  const code = await execute(program, process.argv.slice(2), {
    env: process.env,
    print: (text) => process.stdout.write(text),
    complain: (text) => process.stderr.write(text),
  });
  process.exitCode = Math.max(Number(process.exitCode ?? 0), code);
}

/** Where a program's words go; replaced in tests. */
export interface Terminal {
  readonly env: NodeJS.ProcessEnv;
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
}

/** The same without touching the process. Resolves to the exit code; never rejects. */
export async function execute(program: Program, argv: readonly string[], terminal: Terminal): Promise<number> {
  const { env, print, complain } = terminal;
  try {
    const { command, name, options, args } = parse(program, argv, env);
    if (options.help) {
      print(name === undefined ? programHelp(program) : commandHelp(program, name, command));
      return 0;
    }
    if (options.version) {
      print(`${program.name} ${program.version}\n`);
      return 0;
    }
    const config = options.config as string | undefined;
    const needConfig = (): string => {
      if (config !== undefined) return config;
      throw new UsageError(`name a configuration file with -c FILE or ${program.configEnv}`);
    };
    const log = createLog(program.name);
    return (await command.run({ config, options, args, env, log, print, needConfig })) ?? 0;
  } catch (error) {
    if (error instanceof ConfigError) {
      complain(error.problems.map((problem) => `${formatProblem(problem)}\n`).join(''));
      return 2;
    }
    complain(`${program.name}: ${reasonOf(error)}\n`);
    if (error instanceof UsageError) {
      complain(`Try '${program.name} --help'.\n`);
      return 2;
    }
    return 1;
  }
}

interface Parsed {
  readonly command: Command;
  /** As given; undefined when the default was taken. */
  readonly name: string | undefined;
  readonly options: CommandContext['options'];
  readonly args: readonly string[];
}

function parse(program: Program, argv: readonly string[], env: NodeJS.ProcessEnv): Parsed {
  // The first word that is no option's value names the command; which options there are depends on it.
  const everyOption = Object.assign({}, ...Object.values(program.commands).map((command) => command.options ?? {}));
  const name = read(argv, { ...everyOption, ...commonOptions(program) }).positionals[0];
  const named = name !== undefined && Object.hasOwn(program.commands, name) ? program.commands[name] : undefined;
  if (name !== undefined && named === undefined) {
    const known = Object.keys(program.commands);
    const near = nearest(name, known);
    const hint = near === undefined ? `known are ${known.join(', ')}` : `did you mean ${near}?`;
    throw new UsageError(`unknown command '${name}'; ${hint}`);
  }
  const specs = { ...commonOptions(program), ...(named ?? program.commands.run)?.options };
  const { values, positionals, tokens } = read(argv, specs);
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const spec = Object.hasOwn(specs, token.name) ? specs[token.name] : undefined;
    if (spec === undefined) {
      const near = nearest(token.name, Object.keys(specs));
      const hint = near === undefined ? '' : `; did you mean --${near}?`;
      throw new UsageError(`unknown option '${token.rawName}'${hint}`);
    }
    if (spec.type === 'string' && (token.value === undefined || token.value === '')) {
      throw new UsageError(`option '${token.rawName}' needs a value: ${token.rawName} ${spec.placeholder ?? 'VALUE'}`);
    }
    if (spec.type === 'boolean' && token.value !== undefined) {
      throw new UsageError(`option '${token.rawName}' takes no value`);
    }
  }
  const options: Record<string, string | boolean | undefined> = { ...values };
  for (const [option, spec] of Object.entries(specs)) {
    const value = spec.env === undefined ? undefined : env[spec.env];
    if (options[option] === undefined && value !== undefined && value !== '') {
      options[option] = spec.type === 'boolean' ? true : value;
    }
  }
  const command = named ?? program.commands[program.defaultCommand?.(options) ?? 'run'];
  if (command === undefined) throw new Error(`${program.name} has no default command`);
  const args = positionals.slice(1);
  if (!options.help) checkArguments(command, args);
  return { command, name, options, args };
}

function read(argv: readonly string[], specs: Readonly<Record<string, OptionSpec>>) {
  const options = Object.fromEntries(
    Object.entries(specs).map(([name, { type, short }]) => [name, { type, ...(short !== undefined && { short }) }]),
  );
  return parseArgs({ args: [...argv], options, strict: false, allowPositionals: true, tokens: true });
}

function checkArguments(command: Command, args: readonly string[]): void {
  const names = command.usage?.split(' ').filter((word) => word !== '') ?? [];
  const required = names.filter((word) => !word.startsWith('['));
  const missing = required[args.length];
  if (args.length < required.length) throw new UsageError(`missing ${missing}`);
  if (args.length > names.length) throw new UsageError(`unexpected argument '${args[names.length]}'`);
}

function commonOptions(program: Program): Readonly<Record<string, OptionSpec>> {
  return {
    config: {
      type: 'string',
      short: 'c',
      placeholder: 'FILE',
      env: program.configEnv,
      doc: 'configuration file, JSON or YAML',
    },
    ...program.options,
    help: { type: 'boolean', short: 'h', doc: 'show this help' },
    version: { type: 'boolean', doc: 'show the version' },
  };
}

function programHelp(program: Program): string {
  const commands = Object.entries(program.commands).map(([name, { usage, summary }]) => [
    `  ${name}${usage === undefined ? '' : ` ${usage}`}`,
    summary,
  ]);
  return [
    `Usage: ${program.name} [COMMAND] [OPTIONS]\n\n${program.summary}\n`,
    `\nCommands (without one: run):\n${formatTable(commands)}`,
    `\nOptions:\n${optionTable(commonOptions(program))}`,
    `\nMore about one command: ${program.name} COMMAND --help\n`,
  ].join('');
}

function commandHelp(program: Program, name: string, command: Command): string {
  const usage = command.usage === undefined ? '' : ` ${command.usage}`;
  const options = { ...command.options, ...commonOptions(program) };
  return `Usage: ${program.name} ${name} [OPTIONS]${usage}\n\n${command.summary}\n\nOptions:\n${optionTable(options)}`;
}

function optionTable(specs: Readonly<Record<string, OptionSpec>>): string {
  return formatTable(
    Object.entries(specs).map(([name, { type, short, placeholder = 'VALUE', env, doc }]) => [
      `  ${short === undefined ? '    ' : `-${short}, `}--${name}${type === 'string' ? ` ${placeholder}` : ''}`,
      env === undefined ? doc : `${doc} (also ${env})`,
    ]),
  );
}
