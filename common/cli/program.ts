import type { Log } from '../daemon/log.ts';
import type { Shape } from './json-shape.ts';
import type { Style } from './table.ts';

/** One option of the command line. */
export interface OptionSpec {
  readonly type: 'string' | 'boolean';
  readonly doc: string;
  /** One letter. */
  readonly short?: string;
  /** What stands for the value in the help, default VALUE. */
  readonly placeholder?: string;
  /** The only values there are, for help and completion; the command checks them itself. */
  readonly values?: readonly string[];
  /** The environment variable that also sets it. */
  readonly env?: string;
}

export interface CommandContext {
  /** Of the program. */
  readonly version: string;
  /** The configuration file; undefined when none is named. */
  readonly config: string | undefined;
  /** Only options that were given, by their long name. */
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
  /** Writes to standard output, as is. */
  readonly print: (text: string) => void;
  /** Colours for what is printed, where they can be seen. */
  readonly style: Style;
  /** The file, for commands that cannot do without one. @throws {UsageError} */
  needConfig(): string;
}

/** Exit code → what it means. */
export type ExitCodes = Readonly<Record<number, string>>;

/** What every command means by them. */
export const usualExits: ExitCodes = {
  0: 'done',
  1: 'failed while running',
  2: 'wrong usage or configuration',
};

/** `plugin`: a check or a source; `server`: an instance of the service before it. */
export type ArgumentKind = 'service' | 'server' | 'plugin' | 'shell';

export interface Command {
  readonly summary: string;
  /** What follows the options: `SERVICE [INSTANCE]`. As many arguments are accepted as it names. */
  readonly usage?: string;
  /** What each of the arguments is, where a shell can complete it by asking `PROGRAM complete KIND`. */
  readonly arguments?: readonly ArgumentKind[];
  readonly options?: Readonly<Record<string, OptionSpec>>;
  /** More to know, a paragraph each: for the help of this command and the manual. */
  readonly notes?: readonly string[];
  /** What its own exit codes mean, or what the usual ones mean here. */
  readonly exits?: ExitCodes;
  /** What `--json` prints. */
  readonly json?: Shape;
  /** Command lines worth showing, with what they do. */
  readonly examples?: readonly (readonly [line: string, what: string])[];
  /** For programs only: not in the help. */
  readonly hidden?: boolean;
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
