import type { Log } from '../daemon/log.ts';
import type { Shape } from './json-shape.ts';
import type { Style } from './table.ts';

/** The numbers that an option takes. */
export interface NumberRange {
  readonly least: number;
  /** Default: no limit. */
  readonly most?: number;
  /** Numbers such as 0.5 are allowed too. */
  readonly fractions?: boolean;
}

/** One option of the command line. */
export interface OptionSpec {
  readonly type: 'string' | 'boolean';
  readonly doc: string;
  /** One letter. */
  readonly short?: string;
  /** The name of the value in the help, default VALUE. */
  readonly placeholder?: string;
  /** The only values allowed; for checks, help and completion. */
  readonly values?: readonly string[];
  /** The value is a number of this range. Checked before the command runs: it may never come to read the option. */
  readonly range?: NumberRange;
  /** The value is a time, such as 500ms; checked in the same way. */
  readonly isTime?: boolean;
  /** An environment variable that sets the option when it is not given. */
  readonly env?: string;
}

/** What a command gets: its arguments, its options and where to write. */
export interface CommandContext {
  /** The program's version. */
  readonly version: string;
  /** The configuration file; undefined when none is named. */
  readonly config: string | undefined;
  /** The given options by their long names. */
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Writes to standard output. Characters that a terminal would obey or hide are shown as escapes. */
  readonly print: (text: string) => void;
  /** Writes the text of a file to standard output; unchanged, unless that is a terminal. */
  readonly printExact: (text: string) => void;
  /** Says in one line how far the command is; on a terminal the next line, or other output, takes its place. */
  readonly progress: (text: string) => void;
  /** Adds colours where the output shows them. */
  readonly style: Style;
  /** The log on standard error. Loaded only by commands that need it, because most of them end without a message. */
  openLog(): Promise<Log>;
  /** The configuration file. @throws {UsageError} when none is named */
  needConfig(): string;
}

/** Exit code → what it means. */
export type ExitCodes = Readonly<Record<number, string>>;

/** The exit codes of every command. */
export const usualExits: ExitCodes = {
  0: 'done',
  1: 'failed while running',
  2: 'wrong usage or configuration',
};

/** `plugin`: a check or a source; `server`: an instance of the service that is the argument before. */
export type ArgumentKind = 'service' | 'server' | 'plugin' | 'shell';

/** One command of a program; help, manual and completion are made from it. */
export interface Command {
  readonly summary: string;
  /** The arguments after the options: `SERVICE [INSTANCE]`. More of them are refused. */
  readonly usage?: string;
  /** The kind of each argument that a shell can complete with `PROGRAM complete KIND`. */
  readonly arguments?: readonly ArgumentKind[];
  readonly options?: Readonly<Record<string, OptionSpec>>;
  /** Paragraphs for the help of this command and the manual. */
  readonly notes?: readonly string[];
  /** Exit codes of this command only, and usual ones with another meaning. */
  readonly exits?: ExitCodes;
  /** The shape of what `--json` prints. */
  readonly json?: Shape;
  /** Example command lines, each with its effect. */
  readonly examples?: readonly (readonly [line: string, what: string])[];
  /** Not shown in the help: only programs call it. */
  readonly hidden?: boolean;
  /** Resolves to the exit code, default 0. */
  run(context: CommandContext): Promise<number> | Promise<void>;
}

/** A program and its commands. */
export interface Program {
  readonly name: 'nerve' | 'synapse';
  readonly version: string;
  readonly summary: string;
  /** The environment variable that names the configuration file. */
  readonly configEnv: string;
  /** Options that every command takes, besides `--config`, `--help` and `--version`. */
  readonly options?: Readonly<Record<string, OptionSpec>>;
  /** By name. `run` is the default. */
  readonly commands: Readonly<Record<string, Command>>;
  /** Another default command for these options: `-k` means check. */
  readonly defaultCommand?: (options: CommandContext['options']) => string;
}

/** A program whose commands are loaded one by one, because each start needs one of them. */
export interface ProgramSource extends Omit<Program, 'commands'> {
  /** By name, in the order of the help. */
  readonly loaders: Readonly<Record<string, () => Promise<Command>>>;
}

/** A command line is wrong; exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
