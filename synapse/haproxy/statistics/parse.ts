/** The columns that are read, out of about a hundred in `show stat`. */
const columnsRead = [
  'pxname',
  'svname',
  'iid',
  'status',
  'scur',
  'qcur',
  'stot',
  'req_tot',
  'econ',
  'eresp',
  'hrsp_1xx',
  'hrsp_2xx',
  'hrsp_3xx',
  'hrsp_4xx',
  'hrsp_5xx',
  'hrsp_other',
  'act',
  'bck',
  'weight',
  'check_status',
  'last_chk',
  'lastchg',
  'addr',
] as const;

/** One row, without the columns that this version of HAProxy does not have. */
export type StatisticsRow = Readonly<Partial<Record<(typeof columnsRead)[number], string>>>;

/**
 * Reads the reply of `show stat`, which is CSV with a header (management guide, section 9.1).
 * @throws when it is not such a reply
 */
export function parseStatistics(reply: string): readonly StatisticsRow[] {
  const lines = reply.split('\n');
  const header = lines.findIndex((line) => line.startsWith('# pxname,'));
  if (header < 0) throw new Error(`show stat answered ${JSON.stringify(reply.slice(0, 100))}`);
  const titles = (lines[header] as string).slice(2).split(',');
  const columns = columnsRead.map((title) => [title, titles.indexOf(title)] as const).filter(([, index]) => index >= 0);
  const rows: StatisticsRow[] = [];
  for (const line of lines.slice(header + 1)) {
    if (!line.includes(',')) continue;
    const cells = splitCells(line);
    rows.push(Object.fromEntries(columns.map(([title, index]) => [title, cells[index] ?? ''])));
  }
  return rows;
}

/** The text of a check result may be quoted and contain commas. */
function splitCells(line: string): readonly string[] {
  if (!line.includes('"')) return line.split(',');
  const cells = line.match(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g) ?? [];
  return cells.map((cell) =>
    cell
      .replace(/,$/, '')
      .replace(/^"(.*)"$/, '$1')
      .replaceAll('""', '"'),
  );
}
