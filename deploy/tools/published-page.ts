import { directives, serverOptions } from '../../synapse/haproxy/published/directives.ts';
import { publishedKeys } from '../../synapse/haproxy/published/merge.ts';
import { parameters } from '../../synapse/haproxy/published/parameters.ts';

const begin = `# What may be published

<!-- Made from the grammar by \`npm run reference\`; a test compares them. -->

A document at \`discovery.generator_config_path\` is a JSON object such as
\`{"haproxy": {"backend": ["timeout server 2m"], "server_options": "inter 5s"}}\`. Its section \`haproxy\` may have the keys below and no
others. synapse refuses the whole document when any part of it is not in these tables; the previous document then stays in force.
Other sections of the document are not read.

| key | may be |
|---|---|
| \`frontend\`, \`backend\` | a list of lines of that side |
| \`listen\` | a list of lines that go to the side, or the sides, where they belong |
| \`server_options\` | options of every server line |
| \`backend_order\` | \`asc\`, \`desc\` or \`no_shuffle\` |
| \`cookie_value_method\` | \`hash\` |

In the forms, \`a|b\` is one of two words, \`[…]\` may be left out, \`NAME...\` is one or more words, and capitals are parameters.
A document may have up to 64 lines, and each kind of line once.

- A published line replaces the local lines of its kind. All other local lines stay, rules and access lists included.
- The lines of a check are one kind: a published check replaces the local one. So are \`stick-table\` and \`stick on\`.
- Where the local configuration or its \`defaults\` have a check, a \`cookie\` or an \`http-reuse\` that could not be published, such as a
  check of another port or with TLS, a document with lines of that kind is refused. So is a \`stick-table\` where there is a local
  one, and a \`cookie\` without the words \`secure\` and \`httponly\` of the local one.
- \`mode http\` and \`mode tcp\` are accepted where they are in force anyway: a document cannot change the mode.
- The mode that a line needs must be that of the local configuration.
- A check sends its request to the address and port of each instance. \`PATH\` is requested there: do not publish the path of an
  action.
`;

const optionsText = `
## Server options

A published option replaces the local option of the same name; all other local options stay, so that TLS, addresses and ports are as the
local configuration says. \`haproxy.trust_server_options\` holds for documents too. When the local \`server_options\` have quotes,
escapes, a comment, a variable or \`track\`, none can be published.

`;

/** The manual of what may be published. */
export function publishedPage(): string {
  const described = ['frontend', 'backend', 'listen', 'server_options', 'backend_order', 'cookie_value_method'];
  if (described.join() !== publishedKeys.join()) throw new Error('the page does not describe the keys of a document');
  const lines = directives.flatMap(({ sides, forms }) =>
    forms.map(({ text, needsHttp }) => `| ${code(text)} | ${needsHttp ? '`mode http`' : ''} | ${sides.join(', ')} |\n`),
  );
  const options = serverOptions.map(({ text }) => `| ${code(text)} |\n`);
  const allowed = Object.entries(parameters).map(([name, { doc }]) => `| ${code(name)} | ${doc} |\n`);
  return [
    begin,
    '\n## Lines\n\n| line | needs | side |\n|---|---|---|\n',
    ...lines,
    optionsText,
    '| option |\n|---|\n',
    ...options,
    '\n## Parameters\n\n| parameter | allowed |\n|---|---|\n',
    ...allowed,
  ].join('');
}

function code(text: string): string {
  return `\`${text.replaceAll('|', '\\|')}\``;
}
