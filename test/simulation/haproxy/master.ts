/** What `show proc` is about. Workers are process ids. */
export interface Processes {
  readonly reloads: number;
  readonly failed: number;
  /** The worker in charge. */
  readonly worker: number | undefined;
  readonly oldWorkers: readonly number[];
}

/** From 3.2 on the master counts one failed reload, however many there were. */
export function countsFailures(version: string): boolean {
  return /^(2\.6|3\.0)\./.test(version);
}

/** The reply of `show proc` on the master socket, as a release writes it. */
export function processes({ reloads, failed, worker, oldWorkers }: Processes, version: string): string {
  const row = (pid: number): string => `${pid}            worker          0               0d00h00m01s     ${version}`;
  const note = failed > 0 ? ` [failed: ${failed}]` : '';
  const inCharge = worker === undefined ? [] : [worker];
  // After a failed reload, 3.2 and later list the worker in charge among the old ones.
  const [current, old] =
    failed > 0 && !countsFailures(version) ? [[], [...inCharge, ...oldWorkers]] : [inCharge, oldWorkers];
  return [
    '#<PID>          <type>          <reloads>       <uptime>        <version>',
    `1               master          ${reloads}${note}       0d00h00m01s     ${version}`,
    '# workers',
    ...current.map(row),
    ...(old.length > 0 ? ['# old workers', ...old.map(row)] : []),
    '# programs',
    '',
  ].join('\n');
}
