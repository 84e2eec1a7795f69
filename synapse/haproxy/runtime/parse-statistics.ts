/** The columns that are read, out of about a hundred in `show stat`. */
const columnsRead = [
  'pxname',
  'svname',
  'iid',
  'mode',
  'status',
  'scur',
  'qcur',
  'stot',
  'req_tot',
  'econ',
  'eresp',
  'wretr',
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
 * Reads replies of `show stat`, each of which is CSV with a header (management guide, section 9.1).
 * @throws when the text has anything else in it
 */
export function parseStatistics(reply: string): readonly StatisticsRow[] {
  const rows: StatisticsRow[] = [];
  let columns: readonly (readonly [title: string, index: number])[] | undefined;
  for (const line of recordsOf(reply)) {
    if (line.startsWith(headerStart)) columns = columnsOf(line);
    else if (columns !== undefined && line.includes(',')) {
      const cells = splitCells(line);
      rows.push(Object.fromEntries(columns.map(([title, index]) => [title, cells[index] ?? ''])));
    } else if (line !== '') throw new Error(`show stat answered ${JSON.stringify(line.slice(0, 100))}`);
  }
  if (columns === undefined) throw new Error('show stat answered nothing');
  return rows;
}

const headerStart = '# pxname,';
/** A row has about a hundred columns. The longest one, the text of a check, comes from a buffer of 16 KiB by default. */
const maxRecordLength = 128 * 1024;

function columnsOf(header: string): readonly (readonly [title: string, index: number])[] {
  const titles = header.slice(2).split(',');
  return columnsRead.map((title) => [title, titles.indexOf(title)] as const).filter(([, index]) => index >= 0);
}

/** The records of CSV. The text of a check result may be quoted and have line ends in it: a server that is checked writes it. */
function* recordsOf(csv: string): Iterable<string> {
  let open = '';
  for (const line of csv.split('\n')) {
    const record = open === '' ? line : `${open}\n${line}`;
    // Quotes come in pairs, also those that are part of the text.
    if (record.length > maxRecordLength) throw new Error('show stat answered a row that does not end');
    if (record.includes('"') && record.split('"').length % 2 === 0) open = record;
    else {
      open = '';
      yield record;
    }
  }
  if (open !== '') throw new Error('show stat answered a row that does not end');
}

/** The text of a check result may be quoted and contain commas, quotes and line ends. */
function splitCells(line: string): readonly string[] {
  if (!line.includes('"')) return line.split(',');
  const cells = line.match(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g) ?? [];
  return cells.map((cell) =>
    cell
      .replace(/,$/, '')
      .replace(/^"(.*)"$/s, '$1')
      .replaceAll('""', '"'),
  );
}
