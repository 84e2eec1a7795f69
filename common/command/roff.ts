/** Text as roff prints it: nothing in it is a request or an escape, and hyphens stay what they are. */
export function roffText(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1')
    .replaceAll('→', '\\(->')
    .replaceAll('…', '\\&...')
    .replaceAll('✗', 'x')
    .replaceAll('✓', 'v');
}

/** A section, and one inside it. */
export function section(title: string): string {
  return `.SH ${title.toUpperCase()}\n`;
}

export function subsection(title: string): string {
  return `.SS ${roffText(title)}\n`;
}

export function paragraph(text: string): string {
  return `.PP\n${roffText(text)}\n`;
}

/** Terms and what they are. */
export function definitions(entries: readonly (readonly [term: string, text: string])[]): string {
  return entries.map(([term, text]) => `.TP\n.B ${roffText(term)}\n${roffText(text)}\n`).join('');
}
