import { type ParseArgsConfig, parseArgs } from 'node:util';
import { numberOption } from '../../common/cli/number-option.ts';
import { type NumberRange, UsageError } from '../../common/cli/program.ts';
import { reasonOf } from '../../common/daemon/log.ts';

/** A number that a tool of the repository takes as an option. */
export interface ToolNumber extends NumberRange {
  /** A mistyped number must not run for years. */
  readonly most: number;
  /** The value without the option. */
  readonly otherwise: number;
}

/** The largest seed: 31 bits, as generators of random numbers take them. */
export const largestSeed = 2 ** 31 - 1;

/** What the command line of a tool may have. */
export interface ToolUsage<Name extends string> {
  /** What `--help` prints. */
  readonly usage: string;
  readonly numbers: Readonly<Record<Name, ToolNumber>>;
  /** Other options, for `parseArgs` of `node:util`. */
  readonly options?: NonNullable<ParseArgsConfig['options']>;
  /** The most words besides the options, default 0. */
  readonly mostWords?: number;
}

/** A command line that makes sense. */
export interface ToolLine<Name extends string> {
  readonly numbers: Readonly<Record<Name, number>>;
  /** The options that are given, as text. */
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  readonly words: readonly string[];
}

/** Reads the command line of a tool. @throws {UsageError} naming the option or the word that makes no sense */
export function parseToolLine<Name extends string>(
  argv: readonly string[],
  { numbers, options = {}, mostWords = 0 }: Omit<ToolUsage<Name>, 'usage'>,
): ToolLine<Name> {
  const texts = Object.fromEntries(Object.keys(numbers).map((name) => [name, { type: 'string' } as const]));
  const all = { ...texts, ...options, help: { type: 'boolean', short: 'h' } } as const;
  const { values, positionals: words } = parse(argv, all);
  if (words.length > mostWords) throw new UsageError(`unexpected argument '${words[mostWords]}'`);
  const read = Object.entries<ToolNumber>(numbers).map(([name, { otherwise, ...range }]) => {
    const given = values[name];
    return [name, given === undefined ? otherwise : numberOption(name, given, range)];
  });
  return { numbers: Object.fromEntries(read), values: values as ToolLine<Name>['values'], words };
}

/** The same for the command line of this process. Ends it with 2 when it makes no sense, and with 0 after `--help`. */
export function readToolLine<Name extends string>(tool: ToolUsage<Name>): ToolLine<Name> {
  return orUsage(() => {
    const line = parseToolLine(process.argv.slice(2), tool);
    if (line.values.help !== true) return line;
    process.stdout.write(tool.usage);
    process.exit(0);
  });
}

/** Ends this process with 2 when `read` throws a {@link UsageError}. Other errors are thrown, with where they come from. */
export function orUsage<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\nTry '--help'.\n`);
    process.exit(2);
  }
}

function parse(argv: readonly string[], options: NonNullable<ParseArgsConfig['options']>) {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(reasonOf(error));
  }
}
