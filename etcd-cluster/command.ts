import { type ParseArgsConfig, parseArgs } from 'node:util';
import { UsageError } from '../common/cli/program.ts';
import { ConfigError, formatProblem } from '../common/config/problem.ts';
import { reasonOf } from '../common/daemon/log.ts';
import { visible } from '../common/visible.ts';

type Options = NonNullable<ParseArgsConfig['options']>;

/** A parsed command line. */
export interface CommandLine {
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  readonly words: readonly string[];
}

/** A command of this folder. */
export interface Command {
  /** What `--help` prints. */
  readonly usage: string;
  /** Options for `parseArgs` of `node:util`; `--help` is added. */
  readonly options: Options;
  /** @throws {UsageError} when the command line makes no sense */
  run(given: CommandLine): Promise<void>;
}

/** Runs a command; sets the exit code to 0 (done), 1 (failed) or 2 (wrong usage or configuration). */
export async function runCommand({ usage, options, run }: Command): Promise<void> {
  try {
    const { values, positionals } = parse(options);
    if (values.help === true) process.stdout.write(usage);
    else await run({ values, words: positionals });
  } catch (error) {
    if (error instanceof ConfigError) {
      process.stderr.write(visible(error.problems.map((problem) => `${formatProblem(problem)}\n`).join('')));
    } else process.stderr.write(visible(`${reasonOf(error)}\n`));
    if (error instanceof UsageError) process.stderr.write("Try '--help'.\n");
    process.exitCode = error instanceof UsageError || error instanceof ConfigError ? 2 : 1;
  }
}

function parse(options: Options): {
  readonly values: CommandLine['values'];
  readonly positionals: readonly string[];
} {
  try {
    const parsed = parseArgs({
      options: { ...options, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    });
    return { values: parsed.values as CommandLine['values'], positionals: parsed.positionals };
  } catch (error) {
    throw new UsageError(reasonOf(error));
  }
}
