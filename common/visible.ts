/**
 * Characters that a terminal obeys or hides, or that reorder the text around them: control characters (ESC and the C1 controls
 * too), format characters (bidirectional marks, zero-width ones, tags), line and paragraph separators, and those that
 * Unicode lets programs leave out. A tab and a line end stay.
 */
const unseen = /[^\P{Cc}\t\n]|[\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/gu;

/**
 * Text for a terminal or a log: shows each character that would be obeyed or hidden as JSON's escape of it, `\u202e`. In a JSON
 * document, which has such characters in strings only, this changes nothing that a parser sees.
 */
export function visible(text: string): string {
  return text.replace(unseen, escaped);
}

/** The same for text that must stay in one line, such as a cell of a table: tabs and line ends are shown too. */
export function visibleLine(text: string): string {
  return visible(text).replace(/[\t\n]/g, escaped);
}

/** JSON escapes UTF-16 units. */
function escaped(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
