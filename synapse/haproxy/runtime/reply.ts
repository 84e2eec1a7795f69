/** What a command does, which decides what HAProxy answers when it worked. */
export type CommandKind = 'add' | 'health' | 'agent' | 'state' | 'weight' | 'maxconn';

/** How a command went. */
export type Verdict =
  | { readonly result: 'done' }
  /** HAProxy has something else than we thought: read it again. */
  | { readonly result: 'surprise'; readonly message: string }
  /** HAProxy will not do this at run time. */
  | { readonly result: 'refused'; readonly message: string };

const done: Verdict = { result: 'done' };

/** Refusals that come from what we did not know rather than from what we asked for. */
const surprises: readonly string[] = [
  'No such server',
  'No such backend',
  "Can't find backend",
  'Already exists a server',
  'already used',
  'Proxy is disabled',
];

/**
 * Judges a reply by exact text: error levels (`set severity-output`) are no help, unknown commands have the level of a
 * success. What is not known to be a success is not one. Notices that HAProxy mixes in do not hide a success of `add`.
 */
export function judge(kind: CommandKind, reply: string): Verdict {
  const text = reply.trim();
  const ok = kind === 'add' ? text.includes('New server registered') : text === '';
  if (ok) return done;
  const message = text.replace(/\s+/g, ' ').slice(0, 500) || 'an empty reply';
  return { result: surprises.some((known) => text.includes(known)) ? 'surprise' : 'refused', message };
}
