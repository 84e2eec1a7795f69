import type { Footprint } from './footprint.ts';

/** The tables of a footprint, each with its title. */
export function footprintTables(
  { starts, rests }: Footprint,
  rounds: number,
): readonly (readonly [title: string, rows: readonly (readonly string[])[]])[] {
  const [bare, idle] = [starts[0]?.milliseconds ?? Number.NaN, rests[0]?.megabytes ?? Number.NaN];
  const cell = (value: number): string => (Number.isNaN(value) ? '' : value.toFixed(0));
  const rows = starts.map(({ what, milliseconds, cpuMilliseconds, megabytes }) => {
    const ratio = `${digits(milliseconds / bare)}x`;
    const cpu = cpuMilliseconds / (starts[0]?.cpuMilliseconds ?? Number.NaN);
    return [what, cell(milliseconds), ratio, cell(cpuMilliseconds), digits(cpu), cell(megabytes)];
  });
  const head = ['', 'ms', 'of bare Node', 'CPU ms', 'of bare Node', 'MB'];
  const ownIdle = rests[0]?.ownMegabytes ?? Number.NaN;
  const rest = rests.map(({ what, megabytes, ownMegabytes, cpuPercent, wakesPerSecond }) => {
    const each = wakesPerSecond < 1 ? '' : digits((cpuPercent * 10) / wakesPerSecond);
    const memory = [cell(megabytes), `+${cell(megabytes - idle)}`, `+${cell(ownMegabytes - ownIdle)}`];
    return [what, ...memory, digits(cpuPercent), wakesPerSecond.toFixed(1), each];
  });
  const restHead = [
    '',
    'resident MB',
    'above bare Node',
    'not shared',
    'CPU % of a core',
    'wakes a second',
    'CPU ms of each',
  ];
  return [
    [`One start, medians of ${rounds} rounds, Node ${process.versions.node}`, [head, ...rows]],
    ['Daemons at rest, for 30 s', [restHead, ...rest]],
  ];
}

function digits(value: number): string {
  return value.toFixed(2);
}
