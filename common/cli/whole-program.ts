import { parseCommandLine } from './command-line.ts';
import type { Command, Program, ProgramSource } from './program.ts';

/** The program with all its commands. */
export function wholeProgram(source: ProgramSource): Promise<Program> {
  return withCommands(source, Object.keys(source.loaders));
}

/**
 * The program with the commands that this command line needs: those that it names, and `run`. With all of them for the
 * help of the program, and when the command line is wrong: the message then names what there is.
 */
export async function programFor(
  source: ProgramSource,
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<Program> {
  const named = Object.keys(source.loaders).filter((name) => argv.includes(name));
  const program = await withCommands(source, [...named, 'run']);
  try {
    // An option of a command that is not loaded is an error here, so nothing is understood in another way.
    const { name, options } = parseCommandLine(program, argv, env);
    return options.help && name === undefined ? await wholeProgram(source) : program;
  } catch {
    // The command line is wrong, or means another command than it names.
    return wholeProgram(source);
  }
}

async function withCommands(source: ProgramSource, names: readonly string[]): Promise<Program> {
  const { loaders, ...rest } = source;
  const wanted = Object.entries(loaders).filter(([name]) => names.includes(name));
  const commands = await Promise.all(
    wanted.map(async ([name, load]): Promise<[string, Command]> => [name, await load()]),
  );
  return { ...rest, commands: Object.fromEntries(commands) };
}
