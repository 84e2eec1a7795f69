import { commonOptions, shownCommands } from './command-line.ts';
import { type Command, type OptionSpec, type Program, UsageError } from './program.ts';

/** Shells that completion scripts exist for. */
export const shells = ['bash', 'zsh'] as const;
/** A shell that a completion script exists for. */
export type Shell = (typeof shells)[number];

/** The script that completes a program's command line in a shell. It asks the program for names that only this host knows. */
export function completionScript(program: Program, shell: Shell): string {
  return shell === 'bash' ? bashScript(program) : zshScript(program);
}

type Options = readonly (readonly [name: string, spec: OptionSpec])[];

function optionsOf(program: Program, command?: Command): Options {
  return Object.entries({ ...command?.options, ...commonOptions(program) });
}

function flags([name, { short }]: Options[number]): readonly string[] {
  return short === undefined ? [`--${name}`] : [`-${short}`, `--${name}`];
}

/** The options of all commands that take a value: the word after such an option is neither a command nor an argument. */
function valued(program: Program): Options {
  const all = [undefined, ...Object.values(program.commands)].flatMap((command) => optionsOf(program, command));
  return [...new Map(all.filter(([, { type }]) => type === 'string'))];
}

function bashScript(program: Program): string {
  const { name } = program;
  const commands = shownCommands(program);
  const withValue = valued(program);
  const cases = commands.map(([command, spec]) => {
    const words = optionsOf(program, spec).flatMap(flags).join(' ');
    const kinds = (spec.arguments ?? []).map((kind, index) => `${index}) kind=${kind} ;;`).join(' ');
    return `    ${command}) options='${words}'${kinds === '' ? '' : `; case $count in ${kinds} esac`} ;;`;
  });
  const choices = withValue
    .filter(([, { values }]) => values !== undefined)
    .map(
      (option) =>
        `    ${flags(option).join('|')}) COMPREPLY=($(compgen -W '${option[1].values?.join(' ')}' -- "$cur")); return ;;`,
    );
  return `# bash completion for ${name}: source <(${name} completion bash)
_${name}() {
  local -a words
  local line=\${COMP_LINE:0:COMP_POINT} cur= prev= command= config= options= kind= count=0 first= i
  # Not COMP_WORDS: bash breaks words at colons, and names of instances have one.
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] || { cur=\${words[-1]}; unset 'words[-1]'; }
  for ((i = 1; i < \${#words[@]}; i++)); do
    prev=\${words[i]}
    case $prev in
      -c|--config) config=\${words[i + 1]}; ((i++)) ;;
      ${withValue.flatMap(flags).join('|')}) ((i++)) ;;
      -*) ;;
      *) if [[ -z $command ]]; then command=$prev; else [[ $count -gt 0 ]] || first=$prev; ((count++)); fi ;;
    esac
  done
  prev=\${words[-1]}
  case $prev in
    -c|--config) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return ;;
${choices.join('\n')}
    ${withValue.flatMap(flags).join('|')}) return ;;
  esac
  case $command in
    '') options='${[...commands.map(([command]) => command), ...optionsOf(program).flatMap(flags)].join(' ')}' ;;
${cases.join('\n')}
  esac
  if [[ -n $kind && $cur != -* ]]; then
    options=$(${name} complete "$kind" \${first:+"$first"} \${config:+-c "$config"} 2>/dev/null)
  fi
  COMPREPLY=($(compgen -W "$options" -- "$cur"))
  # Bash replaces only what follows the last colon of the word.
  if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
    local before=\${cur%"\${cur##*:}"}
    COMPREPLY=("\${COMPREPLY[@]#"$before"}")
  fi
}
complete -F _${name} ${name}
`;
}

function zshScript(program: Program): string {
  const { name } = program;
  const commands = shownCommands(program);
  const lines = commands.map(([command, { summary }]) => `    '${command}:${zshText(summary)}'`);
  const cases = commands.map(([command, spec]) => {
    const rest = (spec.arguments ?? []).map((kind, index) => `'${index + 1}: : _${name}_words ${kind}'`);
    return `        ${command}) _arguments -s ${[...zshOptions(optionsOf(program, spec)), ...rest].join(' ')} ;;`;
  });
  return `#compdef ${name}
# zsh completion for ${name}: source <(${name} completion zsh)
_${name}_words() {
  local -a found config given
  local i
  for ((i = 2; i < \${#typed}; i++)); do
    case $typed[i] in
      -c|--config) config=(-c "\${(Q)typed[i + 1]}"); ((i++)) ;;
      ${valued(program).flatMap(flags).join('|')}) ((i++)) ;;
      -*) ;;
      *) given+=("\${(Q)typed[i]}") ;;
    esac
  done
  # After the command; the service, where it is an instance that is asked for.
  found=(\${(f)"$(${name} complete "$1" \${given[2]} $config 2>/dev/null)"})
  compadd -a found
}
_${name}() {
  local curcontext=$curcontext state line
  local -a typed=($words) commands
  typeset -A opt_args
  commands=(
${lines.join('\n')}
  )
  _arguments -C -s -A '-*' ${zshOptions(optionsOf(program)).join(' ')} '1: :->command' '*:: :->arguments'
  case $state in
    command) _describe -t commands command commands ;;
    arguments)
      case $line[1] in
${cases.join('\n')}
      esac ;;
  esac
}
if [[ $funcstack[1] == _${name} ]]; then _${name} "$@"; else compdef _${name} ${name}; fi
`;
}

function zshOptions(options: Options): readonly string[] {
  return options.flatMap((option) => {
    const [, { type, doc, values, placeholder = 'VALUE' }] = option;
    const action = option[0] === 'config' ? '_files' : values === undefined ? '' : `(${values.join(' ')})`;
    const value = type === 'string' ? `:${placeholder}:${action}` : '';
    const own = flags(option);
    return own.map((flag) => `'(${own.join(' ')})${flag}[${zshText(doc)}]${value}'`);
  });
}

/** Text that may stand between quotes, brackets and colons of zsh. */
function zshText(text: string): string {
  return text.replace(/[[\]:\\]/g, '\\$&').replaceAll("'", "'\\''");
}

/** `PROGRAM completion SHELL`. A function gives the program, because this command is a part of it. */
export function completionCommand(program: () => Promise<Program>): Command {
  return {
    summary: 'Print a script that makes bash or zsh complete the command line.',
    usage: 'SHELL',
    arguments: ['shell'],
    notes: [
      'For bash, put `source <(PROGRAM completion bash)` into ~/.bashrc; for zsh the same with zsh into ~/.zshrc, after ' +
        'compinit. Names of services come from the running daemon, or else from the configuration file.',
    ],
    async run({ args, printExact }) {
      const [shell] = args;
      const known = shells.find((name) => name === shell);
      if (known === undefined)
        throw new UsageError(`no completion for ${shell}; there is one for ${shells.join(' and ')}`);
      printExact(completionScript(await program(), known satisfies Shell));
    },
  };
}

/**
 * A word that bash does not expand: `compgen -W` runs the commands in `$(…)`, and while the daemon is down, any user of
 * this host may listen on its address.
 */
const plainWord = /^[\w.:@/-]+$/;

/** The hidden command that prints the words which may complete an argument; after any error it prints none. */
export function completeCommand(
  words: (kind: string, context: Parameters<Command['run']>[0]) => Promise<readonly string[]>,
): Command {
  return {
    summary: 'Print the words that may complete an argument, one a line.',
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
