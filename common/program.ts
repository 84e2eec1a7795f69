import type { Log } from './log.ts';

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
