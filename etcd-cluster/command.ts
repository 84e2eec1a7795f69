import { type ParseArgsConfig, parseArgs } from 'node:util';
import { UsageError } from '../common/cli/program.ts';
import { ConfigError, formatProblem } from '../common/config/problem.ts';
import { reasonOf } from '../common/daemon/log.ts';

type Options = NonNullable<ParseArgsConfig['options']>;

/** A command line, taken apart. */
export interface Given {
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  readonly words: readonly string[];
}

export interface CommandShape {
  /** What `--help` prints. */
  readonly usage: string;
  /** As `node:util`'s `parseArgs` takes them; `--help` is added. */
  readonly options: Options;
  /** @throws {UsageError} when the command line makes no sense */
  run(given: Given): Promise<void>;
}

/** Runs one of the commands of this folder; sets the exit code to 0 (done), 1 (failed) or 2 (wrong usage). */
export async function runCommand({ usage, options, run }: CommandShape): Promise<void> {
  try {
    const { values, positionals } = parse(options);
    if (values.help === true) process.stdout.write(usage);
    else await run({ values, words: positionals });
  } catch (error) {
    if (error instanceof ConfigError) {
      process.stderr.write(error.problems.map((problem) => `${formatProblem(problem)}\n`).join(''));
    } else process.stderr.write(`${reasonOf(error)}\n`);
    if (error instanceof UsageError) process.stderr.write("Try '--help'.\n");
    process.exitCode = error instanceof UsageError || error instanceof ConfigError ? 2 : 1;
  }
}

function parse(options: Options): {
  readonly values: Given['values'];
  readonly positionals: readonly string[];
} {
  try {
    const parsed = parseArgs({
      options: { ...options, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    });
    return { values: parsed.values as Given['values'], positionals: parsed.positionals };
  } catch (error) {
    throw new UsageError(reasonOf(error));
  }
}
