/** The fenced blocks of one language, in order. */
export function blocks(text: string, language: string): readonly string[] {
  return [...text.matchAll(/^ *```(\w+)[^\n]*\n(.*?)^ *```$/gms)]
    .filter((match) => match[1] === language)
    .map((match) => `${match[2]}`);
}

/** The rows of all tables with this first title, cell by cell, without the head. */
export function tableRows(text: string, title: string): readonly (readonly string[])[] {
  const rows: (readonly string[])[] = [];
  let inside = false;
  for (const line of text.split('\n')) {
    if (!line.startsWith('|')) inside = false;
    else {
      const cells = line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim().replaceAll('\\|', '|'));
      if (inside && !/^-+$/.test(cells[0] ?? '')) rows.push(cells);
      if (cells[0] === title) inside = true;
    }
  }
  return rows;
}

/** The anchors of a page's headings, as GitHub and others make them. */
export function anchors(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-'),
  );
}
