/** One line of a haproxy.cfg, with the section that it stands in. */
export interface ConfigLine {
  /** Counted from 1. */
  readonly number: number;
  /** Without indentation and without a comment at its end. */
  readonly text: string;
  /** The line that opens the section, such as `frontend web`; empty before the first. */
  readonly title: string;
  /** The number of that line: two sections may have one title. */
  readonly section: number;
  /** It is between `.if` and `.endif`, so that HAProxy decides whether it counts. */
  readonly isConditional: boolean;
}

/** What opens a section (configuration manuals 2.6 to 3.4, chapters 3 and 4). */
const titles =
  /^(?:global|defaults|frontend|backend|listen|peers|resolvers|mailers|userlist|program|http-errors|ring|log-forward|log-profile|cache|fcgi-app|acme|traces|crt-store|healthcheck)(?:\s|$)/;

/** The lines of a haproxy.cfg that say something, in order. */
export function configLines(text: string): readonly ConfigLine[] {
  const lines: ConfigLine[] = [];
  let title = '';
  let section = 0;
  let depth = 0;
  for (const [index, raw] of text.split('\n').entries()) {
    const number = index + 1;
    const line = withoutComment(raw.trim());
    if (line === '') continue;
    if (/^\.endif\b/.test(line)) depth = Math.max(0, depth - 1);
    else if (/^\.if(?:n?def)?\b/.test(line)) depth += 1;
    if (titles.test(line)) {
      title = line;
      section = number;
    }
    lines.push({ number, text: line, title, section, isConditional: depth > 0 });
  }
  return lines;
}

/** A line without the comment at its end: HAProxy takes `#` outside of quotes and without a backslash before it for the beginning of one. */
export function withoutComment(line: string): string {
  const comment = /^((?:[^#"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')*)#/.exec(line);
  return comment === null ? line : (comment[1] ?? '').trimEnd();
}

/** One line of a haproxy.cfg by its number; undefined when there is none. */
export function configLineAt(
  text: string,
  number: number,
): { readonly text: string; readonly title: string } | undefined {
  const lines = text.split('\n');
  const raw = lines[number - 1];
  if (raw === undefined) return undefined;
  const title = lines.slice(0, number).findLast((line) => titles.test(line.trim())) ?? '';
  return { text: withoutComment(raw.trim()), title: withoutComment(title.trim()) };
}
