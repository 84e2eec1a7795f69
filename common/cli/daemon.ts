import { ConfigError, formatProblem } from '../config/problem.ts';
import { reasonOf } from '../daemon/log.ts';
import { plainReason } from '../reason.ts';
import { visible, visibleLine } from '../visible.ts';
import { commandHelp, commandNamed, parseCommandLine, programHelp } from './command-line.ts';
import { keepCompiledCode } from './compile-cache.ts';
import { type Program, type ProgramSource, UsageError } from './program.ts';
import { ProgressLine } from './progress-line.ts';
import { safeOutput, styleFor } from './table.ts';
import { programFor } from './whole-program.ts';

/**
 * Runs a program: parses the command line and sets `process.exitCode` to 0 (done), 1 (failed) or 2 (wrong usage or
 * configuration).
 */
export async function main(source: ProgramSource): Promise<void> {
  keepCompiledCode(process.env);
  const argv = process.argv.slice(2);
  // `synapse services --watch | head` exits silently when head does; on a full disk it prints the reason.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    process.stderr.write(`${source.name}: cannot print: ${plainReason(error)}\n`);
    process.exit(1);
  });
  // A closed log, or a full disk under it, must not end a daemon, and there is nowhere to report it.
  process.stderr.on('error', () => {});
  const code = await execute(await programFor(source, argv, process.env), argv, {
    env: process.env,
    print: (text) => process.stdout.write(text),
    complain: (text) => process.stderr.write(text),
    isTerminal: process.stdout.isTTY === true,
    columns: process.stdout.columns,
  });
  process.exitCode = Math.max(Number(process.exitCode ?? 0), code);
}

/** The environment and output of a program; replaced in tests. */
export interface Terminal {
  readonly env: NodeJS.ProcessEnv;
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
  /** Standard output is a terminal. */
  readonly isTerminal?: boolean;
  /** Its width in characters. */
  readonly columns?: number | undefined;
}

/** Runs a program like {@link main}, but without touching the process. Resolves to the exit code; never rejects. */
export async function execute(program: Program, argv: readonly string[], terminal: Terminal): Promise<number> {
  const { env, isTerminal = false, columns } = terminal;
  const line = new ProgressLine({ print: terminal.print, isTerminal, columns });
  const write = (text: string): void => {
    line.clear();
    terminal.print(text);
  };
  const complain = (text: string): void => {
    line.clear();
    terminal.complain(visible(text));
  };
  const print = (text: string): void => write(visible(text));
  try {
    const { command, name, options, args } = parseCommandLine(program, argv, env);
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
    const { style, clean } = safeOutput(styleFor({ color: String(options.color ?? 'auto'), env, isTerminal }));
    const context = {
      ...{ version: program.version, config, options, args, env, style, needConfig },
      openLog: async () => (await import('../daemon/stderr-log.ts')).createLog(program.name),
      print: (text: string): void => write(clean(text)),
      printExact: (text: string): void => write(isTerminal ? clean(text) : text),
      progress: (text: string): void => line.show(visibleLine(text)),
    };
    const code = await command.run(context);
    line.clear();
    return code ?? 0;
  } catch (error) {
    if (error instanceof ConfigError) {
      complain(error.problems.map((problem) => `${formatProblem(problem)}\n`).join(''));
      return 2;
    }
    complain(`${program.name}: ${reasonOf(error)}\n`);
    if (error instanceof UsageError) {
      const command = commandNamed(program, argv);
      complain(`Try '${program.name}${command === undefined ? '' : ` ${command}`} --help'.\n`);
      return 2;
    }
    return 1;
  }
}
