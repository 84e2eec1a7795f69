import { parseArgs } from 'node:util';
import { knownHint, nearest } from '../nearest.ts';
import { durationOption } from './duration-option.ts';
import { numberOption } from './number-option.ts';
import {
  type Command,
  type CommandContext,
  type ExitCodes,
  type OptionSpec,
  type Program,
  UsageError,
  usualExits,
} from './program.ts';
import { formatTable } from './table.ts';

/** A parsed command line. */
export interface Parsed {
  readonly command: Command;
  /** The command's name as it was given; undefined for the default command. */
  readonly name: string | undefined;
  readonly options: CommandContext['options'];
  readonly args: readonly string[];
}

/**
 * Finds the command and its options. Environment variables set options that are not given.
 * @throws {UsageError} naming what is unknown, and the nearest known name
 */
export function parseCommandLine(program: Program, argv: readonly string[], env: NodeJS.ProcessEnv): Parsed {
  const name = firstWord(program, argv);
  const named = name !== undefined && Object.hasOwn(program.commands, name) ? program.commands[name] : undefined;
  if (name !== undefined && named === undefined) {
    checkOptions(argv, everyOption(program));
    const known = shownCommands(program).map(([command]) => command);
    throw new UsageError(
      `unknown command '${name}'${looksLikeConfig(name) ? fileHint(name) : `; ${knownHint(name, known)}`}`,
    );
  }
  const specs = { ...commonOptions(program), ...(named ?? program.commands.run)?.options };
  const { values, positionals } = checkOptions(argv, specs);
  const options: Record<string, string | boolean | undefined> = { ...values };
  for (const [option, spec] of Object.entries(specs)) {
    const value = spec.env === undefined ? undefined : env[spec.env];
    if (options[option] === undefined && value !== undefined && value !== '') {
      options[option] = spec.type === 'boolean' ? true : value;
    }
  }
  const byOptions = program.commands[program.defaultCommand?.(options) ?? 'run'];
  const command = named === undefined || name === 'run' ? byOptions : named;
  if (command === undefined) throw new Error(`${program.name} has no default command`);
  const args = positionals.slice(1);
  if (!options.help) checkArguments(command, args);
  return { command, name, options, args };
}

/** The command that a command line names, also when the rest is wrong; undefined when it names no visible command. */
export function commandNamed(program: Program, argv: readonly string[]): string | undefined {
  const word = firstWord(program, argv);
  return shownCommands(program).find(([name]) => name === word)?.[0];
}

/** The first word that is not the value of an option. It names the command, which decides which options there are. */
function firstWord(program: Program, argv: readonly string[]): string | undefined {
  return parse(argv, everyOption(program)).positionals[0];
}

function everyOption(program: Program): Readonly<Record<string, OptionSpec>> {
  const all = Object.assign({}, ...Object.values(program.commands).map(({ options = {} }) => options));
  return { ...all, ...commonOptions(program) };
}

function parse(argv: readonly string[], specs: Readonly<Record<string, OptionSpec>>) {
  const options = Object.fromEntries(
    Object.entries(specs).map(([name, { type, short }]) => [name, { type, ...(short !== undefined && { short }) }]),
  );
  return parseArgs({ args: [...argv], options, strict: false, allowPositionals: true, tokens: true });
}

/** @throws {UsageError} naming an option that is not in `specs`, and the nearest one that is */
function checkOptions(argv: readonly string[], specs: Readonly<Record<string, OptionSpec>>) {
  const parsed = parse(argv, specs);
  for (const token of parsed.tokens) {
    if (token.kind !== 'option') continue;
    const { name, rawName, value } = token;
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (spec === undefined) {
      const near = nearest(name, Object.keys(specs));
      throw new UsageError(`unknown option '${rawName}'${near === undefined ? '' : `; did you mean --${near}?`}`);
    }
    if (spec.type === 'string' && (value === undefined || value === '')) {
      throw new UsageError(`option '${rawName}' needs a value: ${rawName} ${spec.placeholder ?? 'VALUE'}`);
    }
    if (spec.values !== undefined && !spec.values.includes(String(value))) {
      throw new UsageError(`option '${rawName}': '${value}' is not one of ${spec.values.join(', ')}`);
    }
    if (spec.range !== undefined) numberOption(name, value, spec.range);
    if (spec.isTime === true) durationOption(name, value);
    if (spec.type === 'boolean' && value !== undefined) throw new UsageError(`option '${rawName}' takes no value`);
  }
  return parsed;
}

function checkArguments(command: Command, args: readonly string[]): void {
  const names = command.usage?.split(' ').filter((word) => word !== '') ?? [];
  const required = names.filter((word) => !word.startsWith('['));
  const missing = required[args.length];
  if (args.length < required.length) throw new UsageError(`missing ${missing}`);
  const unexpected = args[names.length];
  if (unexpected === undefined) return;
  throw new UsageError(`unexpected argument '${unexpected}'${looksLikeConfig(unexpected) ? fileHint(unexpected) : ''}`);
}

/** Most programs take a file as an argument; ours take the configuration as an option. */
function looksLikeConfig(word: string): boolean {
  return word.includes('/') || /\.(?:ya?ml|json)$/.test(word);
}

function fileHint(word: string): string {
  return `; a configuration file is named with -c ${word}`;
}

/** Options that every command of a program takes. */
export function commonOptions(program: Program): Readonly<Record<string, OptionSpec>> {
  return {
    config: {
      type: 'string',
      short: 'c',
      placeholder: 'FILE',
      env: program.configEnv,
      doc: 'configuration file, JSON or YAML',
    },
    ...program.options,
    color: {
      type: 'string',
      placeholder: 'WHEN',
      values: ['auto', 'always', 'never'],
      doc: 'colours: auto (on a terminal, unless NO_COLOR is set), always, never',
    },
    help: { type: 'boolean', short: 'h', doc: 'show this help' },
    version: { type: 'boolean', doc: 'show the version' },
  };
}

/** The visible commands by name. */
export function shownCommands(program: Program): readonly (readonly [name: string, command: Command])[] {
  return Object.entries(program.commands).filter(([, { hidden }]) => !hidden);
}

/** The exit codes of a command and their meanings. */
export function exitsOf({ exits }: Pick<Command, 'exits'>): readonly (readonly [code: string, meaning: string])[] {
  const all: ExitCodes = { ...usualExits, ...exits };
  return Object.entries(all);
}

/** The usage line of a command. */
export function usageOf(program: Program, name: string, { usage }: Pick<Command, 'usage'>): string {
  return `${program.name} ${name} [OPTIONS]${usage === undefined ? '' : ` ${usage}`}`;
}

/** An option in help and manual: `-c, --config FILE`. */
export function optionTitle(name: string, { type, short, placeholder = 'VALUE' }: OptionSpec): string {
  return `${short === undefined ? '' : `-${short}, `}--${name}${type === 'string' ? ` ${placeholder}` : ''}`;
}

/** The description of an option, with its environment variable. */
export function optionText({ doc, env }: OptionSpec): string {
  return env === undefined ? doc : `${doc} (also ${env})`;
}

/** `--help` without a command. */
export function programHelp(program: Program): string {
  const commands = shownCommands(program).map(([name, { usage, summary }]) => [
    `  ${name}${usage === undefined ? '' : ` ${usage}`}`,
    summary,
  ]);
  return [
    `Usage: ${program.name} [COMMAND] [OPTIONS]\n\n${program.summary}\n`,
    `\nCommands (without one: run):\n${formatTable(commands)}`,
    `\nOptions:\n${optionTable(commonOptions(program))}`,
    `\n${exitTable(exitsOf({}))}`,
    `\nMore about one command: ${program.name} COMMAND --help; about all of them: man ${program.name}\n`,
  ].join('');
}

/** `COMMAND --help`. */
export function commandHelp(program: Program, name: string, command: Command): string {
  const { summary, notes = [], examples = [] } = command;
  const options = { ...command.options, ...commonOptions(program) };
  return [
    `Usage: ${usageOf(program, name, command)}\n\n${summary}\n`,
    ...notes.map((note) => `\n${wrap(note)}\n`),
    `\nOptions:\n${optionTable(options)}`,
    `\n${exitTable(exitsOf(command))}`,
    ...(examples.length === 0
      ? []
      : [`\nExamples:\n${formatTable(examples.map(([line, what]) => [`  ${line}`, what]))}`]),
  ].join('');
}

function optionTable(specs: Readonly<Record<string, OptionSpec>>): string {
  return formatTable(
    Object.entries(specs).map(([name, spec]) => [
      `  ${spec.short === undefined ? '    ' : ''}${optionTitle(name, spec)}`,
      optionText(spec),
    ]),
  );
}

function exitTable(exits: ReturnType<typeof exitsOf>): string {
  return `Exit codes:\n${formatTable(exits.map(([code, meaning]) => [`  ${code}`, meaning]))}`;
}

const width = 100;

/** Breaks a paragraph into lines of at most 100 characters. */
function wrap(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join('\n');
}
