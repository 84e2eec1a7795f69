import { haproxyCommand } from './haproxy.ts';
import type { Stack } from './stack.ts';

/** Columns of `show stat` (management guide, section 9.1). */
const columns = { backend: 0, server: 1, sessions: 7, status: 17, weight: 18 } as const;

/** What HAProxy has at this moment, and how to play with it, as text for a terminal. */
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
  const [instance] = stack.instances;
  return [
    align(rows),
    '',
    ...Object.entries(stack.ports).map(([service, port]) => `curl localhost:${port}    # ${service}`),
    `kill ${instance?.process.pid}              # ${instance?.id}: watch it go`,
    `${stack.synapse.argv.join(' ')} status -c ${stack.synapse.configFile}`,
    `${instance?.nerve.argv.join(' ')} drain ${instance?.service} -c ${instance?.nerve.configFile}`,
    `export ETCD=${stack.etcd.urls.join(',')} HAPROXY_SOCKET=${stack.haproxy.socket}`,
    '',
    'Ctrl-C ends everything.',
  ].join('\n');
}

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
