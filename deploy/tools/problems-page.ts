import { problemKinds } from '../../synapse/report/problem-kinds.ts';

const begin = `# Problems of synapse

<!-- Made from the kinds of problems by \`npm run reference\`; a test compares them. -->

\`synapse status\`, its JSON and the live page name what is wrong, the worst first, each with its cause, the time since when synapse
has seen it, what to do, and a command to begin with. The headings below are in the order in which problems of one level are
shown: what applications feel comes first. \`kind\` is the word in the JSON.

The verdict is HAProxy's: its servers are read back every few seconds, and its counters are read every five seconds. What
the registry says stands beside it. Where HAProxy does not check servers (no \`check\` in \`server_options\`), they are shown as
not checked, and only requests that were answered tell that they work. \`/readyz\` does not depend on any of this: a service that
fails is no reason to take synapse out of service.
`;

/** The manual of the kinds of problems. */
export function problemsPage(): string {
  const parts = Object.entries(problemKinds).map(
    ([kind, { heading, meaning }]) => `\n## ${heading}\n\nkind: \`${kind}\`\n\n${meaning}\n`,
  );
  return [begin, ...parts].join('');
}
