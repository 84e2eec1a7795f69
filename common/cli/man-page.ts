import { commonOptions, exitsOf, optionText, optionTitle, shownCommands, usageOf } from './command-line.ts';
import { shapeRows } from './json-shape.ts';
import type { Command, OptionSpec, Program } from './program.ts';

/** The manual of a program in man(7) macros, from the same data as its `--help`. Without a date: equal programs have equal manuals. */
export function manPage(program: Program): string {
  const { name, version, summary } = program;
  return [
    `.TH ${name.toUpperCase()} 1 "" "${name} ${roffText(version)}" "SmartStack"\n`,
    section('name'),
    `${name} \\- ${roffText(summary.replace(/\.$/, ''))}\n`,
    section('synopsis'),
    ...shownCommands(program).map(
      ([command, spec], index) => `${index === 0 ? '' : '.br\n'}${usage(program, command, spec)}`,
    ),
    section('description'),
    `${roffText(`${summary} Without a command, run is the default.`)}\n`,
    section('options of every command'),
    optionList(commonOptions(program)),
    section('commands'),
    ...shownCommands(program).map(([command, spec]) => commandPart(program, command, spec)),
    section('exit status'),
    definitions(exitsOf({})),
    section('environment'),
    definitions([
      ...environment(program),
      ['NO_COLOR', 'when it is set: no colours, unless --color says otherwise'],
      ['LOG_LEVEL', 'debug, info (default), warn or error'],
    ]),
    section('see also'),
    `.BR ${name === 'nerve' ? 'synapse' : 'nerve'} (1),\n.BR haproxy (1)\n`,
  ].join('');
}

function usage(program: Program, command: string, spec: Command): string {
  const [own, ...rest] = usageOf(program, command, spec).split(' ');
  return `.B ${own} ${roffText(rest.join(' '))}\n`;
}

function commandPart(program: Program, command: string, spec: Command): string {
  const { summary, notes = [], options = {}, exits = {}, examples = [], json } = spec;
  const codes = exitsOf(spec).filter(([code]) => Object.hasOwn(exits, code));
  return [
    subsection(usageOf(program, command, spec)),
    roffText(summary),
    '\n',
    ...notes.map(paragraph),
    optionList(options),
    ...(codes.length === 0 ? [] : [paragraph('Exit status:'), definitions(codes)]),
    ...(examples.length === 0 ? [] : [paragraph('Examples:'), definitions(examples)]),
    ...(json === undefined ? [] : [paragraph('Keys of its JSON:'), definitions(keysOf(json))]),
  ].join('');
}

function keysOf(json: NonNullable<Command['json']>): readonly (readonly [string, string])[] {
  return shapeRows(json).map(({ path, type, doc }) => [path, `${type}: ${doc}`]);
}

function optionList(specs: Readonly<Record<string, OptionSpec>>): string {
  return definitions(Object.entries(specs).map(([name, spec]) => [optionTitle(name, spec), optionText(spec)]));
}

/** Environment variables that set options. */
function environment(program: Program): readonly (readonly [string, string])[] {
  const all = [commonOptions(program), ...Object.values(program.commands).map(({ options = {} }) => options)];
  const named = all.flatMap((options) =>
    Object.entries(options).flatMap(([name, { env }]) =>
      env === undefined ? [] : [[env, `same as --${name}`] as const],
    ),
  );
  return [...new Map(named)];
}

/** Escapes text for roff: requests, escapes and hyphens are printed as they are. */
export function roffText(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1')
    .replaceAll('→', '\\(->')
    .replaceAll('…', '\\&...')
    .replaceAll('✗', 'x')
    .replaceAll('✓', 'v');
}

/** The title of a section. */
export function section(title: string): string {
  return `.SH ${title.toUpperCase()}\n`;
}

/** The title of a subsection. */
export function subsection(title: string): string {
  return `.SS ${roffText(title)}\n`;
}

/** A paragraph of text. */
export function paragraph(text: string): string {
  return `.PP\n${roffText(text)}\n`;
}

/** A list of terms with their texts. */
export function definitions(entries: readonly (readonly [term: string, text: string])[]): string {
  return entries.map(([term, text]) => `.TP\n.B ${roffText(term)}\n${roffText(text)}\n`).join('');
}
