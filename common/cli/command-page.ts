import { commonOptions, exitsOf, optionText, optionTitle, shownCommands, usageOf } from './command-line.ts';
import { shapeRows } from './json-shape.ts';
import type { Command, OptionSpec, Program } from './program.ts';

/** A Markdown page of all commands of a program, from the same data as its `--help`. */
export function commandPage(program: Program): string {
  const { name, summary } = program;
  return [
    `# Commands of ${name}\n`,
    `<!-- Made from ${name}/program.ts by \`npm run reference\`; a test holds it against that. -->\n`,
    `${summary} \`${name} --help\`, \`man ${name}\` and this page are made from one source. Without a command, \`run\` is the default.\n`,
    `Every command takes\n`,
    optionTable(commonOptions(program)),
    'and exits with\n',
    exitTable(exitsOf({})),
    ...shownCommands(program).map(([command, spec]) => commandPart(program, command, spec)),
  ].join('\n');
}

function commandPart(program: Program, command: string, spec: Command): string {
  const { summary, notes = [], options = {}, exits = {}, examples = [], json } = spec;
  const codes = exitsOf(spec).filter(([code]) => Object.hasOwn(exits, code));
  const keys = json === undefined ? [] : shapeRows(json).map(({ path, type, doc }) => [`\`${path}\``, type, doc]);
  return [
    `## ${program.name} ${command}\n`,
    `\`${usageOf(program, command, spec)}\`\n`,
    `${summary}\n`,
    ...notes.map((note) => `${note}\n`),
    ...(Object.keys(options).length === 0 ? [] : [optionTable(options)]),
    ...(codes.length === 0 ? [] : [exitTable(codes)]),
    ...(examples.length === 0
      ? []
      : [
          table(
            ['example', 'does'],
            examples.map(([line, what]) => [`\`${line}\``, what]),
          ),
        ]),
    ...(keys.length === 0 ? [] : [`With \`--json\`:\n`, table(['key', 'type', 'is'], keys)]),
  ].join('\n');
}

function optionTable(specs: Readonly<Record<string, OptionSpec>>): string {
  const rows = Object.entries(specs).map(([name, spec]) => [`\`${optionTitle(name, spec)}\``, optionText(spec)]);
  return table(['option', 'does'], rows);
}

function exitTable(exits: ReturnType<typeof exitsOf>): string {
  return table(['exit code', 'means'], exits);
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  return [line(titles), line(titles.map(() => '---')), ...rows.map(line)].join('');
}
