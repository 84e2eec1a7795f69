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
  const rest = rests.map(({ what, megabytes, cpuPercent }) => {
    return [what, cell(megabytes), `+${cell(megabytes - idle)}`, digits(cpuPercent)];
  });
  return [
    [`One start, medians of ${rounds} rounds, Node ${process.versions.node}`, [head, ...rows]],
    ['Daemons at rest, for 30 s', [['', 'resident MB', 'above bare Node', 'CPU % of a core'], ...rest]],
  ];
}

function digits(value: number): string {
  return value.toFixed(2);
}
