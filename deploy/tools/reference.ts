import { writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { commandPage } from '../../common/cli/command-page.ts';
import { describeSchema, type OptionRow } from '../../common/cli/describe.ts';
import { pluginNames } from '../../common/plugin.ts';
import { checkFolder } from '../../nerve/check.ts';
import { describeOptions as describeNerve } from '../../nerve/describe.ts';
import { nerveProgram } from '../../nerve/whole-program.ts';
import { describeOptions as describeSynapse } from '../../synapse/describe.ts';
import { haproxySchema } from '../../synapse/haproxy/options/config.ts';
import { serviceHaproxySchema } from '../../synapse/haproxy/options/service-config.ts';
import { sourceFolder } from '../../synapse/source.ts';
import { synapseProgram } from '../../synapse/whole-program.ts';
import { nerveSchemas } from './json-schemas/nerve.ts';
import { synapseSchemas } from './json-schemas/synapse.ts';
import { problemsPage } from './problems-page.ts';
import { publishedPage } from './published-page.ts';

interface Section {
  readonly title: string;
  readonly options: readonly OptionRow[];
}

const made = `<!-- Made from the schemas by \`npm run reference\`; a test compares them. -->\n`;
const reading = `Times are seconds, or text such as \`500ms\`, \`2s\`, \`1m\`; \`\${NAME}\` and \`\${NAME:-default}\` are replaced by
environment variables. A key without a default is not set by default. An unknown key is an error that names the nearest known key.
`;

/** How an editor helps with the file. */
function editorsOf(program: string): string {
  return `
The package has a JSON Schema of this file, \`schemas/${program}.schema.json\`, and of a file of \`service_conf_dir\`,
\`schemas/${program}-service.schema.json\`. An editor with yaml-language-server completes keys, explains them, and marks
mistakes when the first line names the schema, as a path or relative to the file:
\`# yaml-language-server: $schema=/opt/smartstack/schemas/${program}.schema.json\`. With npm it is in
\`$(npm root -g)/smartstack/schemas\`, and in the images in \`/app/schemas\`. In a JSON file the key \`$schema\` does the same.
\`${program} check\` sees more: what needs the values of several keys, files, or HAProxy.
`;
}

/** The reference pages and the JSON Schemas, by their path in the repository. */
export async function references(): Promise<ReadonlyMap<string, string>> {
  const nerve = [
    ...(await describeNerve()),
    ...(await each(checkFolder, async (name) => (await describeNerve(name)).slice(0, 1), 'check')),
  ];
  const output = [
    { title: 'services.NAME.haproxy', options: describeSchema(serviceHaproxySchema) },
    { title: 'haproxy', options: describeSchema(haproxySchema) },
  ];
  const synapse = [
    ...(await describeSynapse(undefined, output)),
    ...(await each(sourceFolder, async (name) => (await describeSynapse(name, output)).slice(0, 1), 'method')),
    ...(await describeSynapse('multi', output)).slice(0, -1),
  ];
  const [nerveJson, synapseJson] = await Promise.all([nerveSchemas(), synapseSchemas()]);
  return new Map([
    ['deploy/schemas/nerve.schema.json', nerveJson.main],
    ['deploy/schemas/nerve-service.schema.json', nerveJson.service],
    ['deploy/schemas/synapse.schema.json', synapseJson.main],
    ['deploy/schemas/synapse-service.schema.json', synapseJson.service],
    ['nerve/configuration.md', page("nerve's configuration", 'nerve describe [CHECK]', nerve)],
    ['synapse/configuration.md', page("synapse's configuration", 'synapse describe [SOURCE]', synapse)],
    ['nerve/commands.md', commandPage(nerveProgram)],
    ['synapse/commands.md', commandPage(synapseProgram)],
    ['synapse/published.md', publishedPage()],
    ['synapse/problems.md', problemsPage()],
  ]);
}

async function each(
  folder: typeof checkFolder,
  read: (name: string) => Promise<readonly Section[]>,
  kind: string,
): Promise<readonly Section[]> {
  const sections: Section[] = [];
  for (const name of await pluginNames(folder)) {
    for (const { title, options } of await read(name)) sections.push({ title: `${kind} ${title}`, options });
  }
  return sections;
}

function page(title: string, command: string, sections: readonly Section[]): string {
  const tables = sections.map(({ title: heading, options }) => `\n## ${heading}\n\n${table(options)}`);
  const editors = editorsOf(command.split(' ')[0] as string);
  return `# ${title}\n\n${made}\nAll keys; \`${command}\` prints the same on the command line. ${reading}${editors}${tables.join('')}`;
}

function table(options: readonly OptionRow[]): string {
  if (options.length === 0) return 'No options of its own.\n';
  const rows = options.map(({ name, type, default: value, required, doc }) =>
    [`\`${name}\``, type, required ? '**required**' : value === '' ? '' : `\`${value}\``, doc].map(cellOf).join(' | '),
  );
  const head = '| key | type | default | meaning |\n|---|---|---|---|\n';
  return head + rows.map((row) => `| ${row} |\n`).join('');
}

function cellOf(cell: string): string {
  return cell.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const [path, text] of await references()) await writeFile(path, text);
}
