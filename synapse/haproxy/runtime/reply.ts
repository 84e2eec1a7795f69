/** What a command does. It decides what HAProxy replies on success. */
export type CommandKind = 'add' | 'health' | 'agent' | 'state' | 'weight' | 'maxconn';

/** The result of one command. */
export type CommandResult =
  | { readonly result: 'done' }
  /** HAProxy's state differs from what we know: it has to be read again. */
  | { readonly result: 'unexpected'; readonly message: string }
  /** This worker takes no more changes, because another one has taken over. */
  | { readonly result: 'stopping'; readonly message: string }
  /** HAProxy does not do this at run time. */
  | { readonly result: 'refused'; readonly message: string };

/** A result that is not `done`. */
export type CommandFailure = Exclude<CommandResult, { readonly result: 'done' }>;

const done: CommandResult = { result: 'done' };

/** Parts of refusals that come from a state we did not know, and not from what was asked for. */
const unexpectedStates: readonly string[] = [
  'No such server',
  'No such backend',
  "Can't find backend",
  'Already exists a server',
  'already used',
];

/** The reply of a worker that is stopping, and of a proxy that is `disabled` in the file. */
const stoppingReply = 'Proxy is disabled';

/**
 * Judges a reply by its text. Everything that is not known to be a success counts as a failure. HAProxy's error levels
 * (`set severity-output`) do not help: unknown commands have the level of a success. In a reply to `add`, HAProxy may mix
 * notices with the confirmation.
 */
export function judge(kind: CommandKind, reply: string): CommandResult {
  const text = reply.trim();
  const ok = kind === 'add' ? text.includes('New server registered') : text === '';
  if (ok) return done;
  const message = text.replace(/\s+/g, ' ').slice(0, 500) || 'an empty reply';
  if (text.includes(stoppingReply)) return { result: 'stopping', message };
  return { result: unexpectedStates.some((part) => text.includes(part)) ? 'unexpected' : 'refused', message };
}
