import { completionScript, type Shell, shells } from './completion.ts';
import { type Command, type Program, UsageError } from './program.ts';

/** `PROGRAM completion SHELL`. It is one of the commands of the program that it is about. */
export function completionCommand(program: () => Program): Command {
  return {
    summary: 'Print a script that makes bash or zsh complete the command line.',
    usage: 'SHELL',
    arguments: ['shell'],
    notes: [
      'For bash, put `source <(PROGRAM completion bash)` into ~/.bashrc; for zsh the same with zsh into ~/.zshrc, after ' +
        'compinit. Names of services come from the running daemon, or else from the configuration file.',
    ],
    async run({ args, print }) {
      const [shell] = args;
      const known = shells.find((name) => name === shell);
      if (known === undefined)
        throw new UsageError(`no completion for ${shell}; there is one for ${shells.join(' and ')}`);
      print(completionScript(program(), known satisfies Shell));
    },
  };
}

/**
 * What bash does not look into: `compgen -W` runs the commands in `$(…)`, and who answers at the daemon's address while
 * it is down may be anybody on this host.
 */
const plainWord = /^[\w.:@/-]+$/;

/** What a shell may put in a word's place. Whatever goes wrong on the way, there is nothing to offer then. */
export function completeCommand(
  words: (kind: string, context: Parameters<Command['run']>[0]) => Promise<readonly string[]>,
): Command {
  return {
    summary: 'Print what may stand for an argument, a word a line.',
    usage: 'KIND [SERVICE]',
    hidden: true,
    async run(context) {
      const [kind = ''] = context.args;
      const found = kind === 'shell' ? shells : await words(kind, context).catch(() => []);
      const safe = [...new Set(found)].filter((word) => plainWord.test(word));
      context.print(safe.map((word) => `${word}\n`).join(''));
    },
  };
}
