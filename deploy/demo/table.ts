import { haproxyCommand } from './haproxy.ts';
import type { Stack } from './stack.ts';

/** Columns of `show stat` (management guide, section 9.1). */
const columns = { backend: 0, server: 1, sessions: 7, status: 17, weight: 18 } as const;

/** The servers that HAProxy has at this moment, and commands to try, as text for a terminal. */
export async function drawTable(stack: Stack): Promise<string> {
  const rows = [['SERVICE', 'ADDRESS', 'INSTANCE', 'IN HAPROXY', 'WEIGHT', 'REQUESTS']];
  const csv = await haproxyCommand(stack.haproxy.socket, 'show stat -1 4 -1').catch(() => '');
  for (const line of csv.split('\n').filter((text) => text !== '' && !text.startsWith('#'))) {
    const cells = line.split(',');
    const backend = cells[columns.backend] ?? '';
    const port = stack.ports[backend];
    if (port === undefined) continue;
    const cell = (name: keyof typeof columns): string => cells[columns[name]] ?? '';
    const status = cell('status') === 'no check' ? 'ready' : cell('status').toLowerCase();
    rows.push([backend, `localhost:${port}`, cell('server'), status, cell('weight'), cell('sessions')]);
  }
  const services = Object.entries(stack.ports).map(([service, port]) => [`  curl localhost:${port}`, `# ${service}`]);
  return [
    align(rows),
    '',
    `Live page: http://${stack.synapse.admin}/`,
    '',
    'In a second terminal, in this folder:',
    align([
      ['  . .cache/demo/env', '# puts `synapse` and `nerve` on the PATH, and names their files'],
      ...services,
      ...commands,
    ]),
    '',
    'Ctrl-C ends everything.',
  ].join('\n');
}

/** Commands to try; the README has the same. */
const commands: readonly (readonly string[])[] = [
  ['  synapse status', '# what synapse sees, and whether HAProxy agrees'],
  ['  synapse explain api', '# why each instance is, or is not, in HAProxy'],
  ['  nerve drain api', '# new requests go to api-2; `nerve undrain api` ends it'],
  ['  kill $API_1', '# ends the process of api-1: watch HAProxy take it out'],
];

function align(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
