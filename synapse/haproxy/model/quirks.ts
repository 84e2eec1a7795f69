import { modernize } from './oldforms.ts';

/** A section of the user's own, as it is written to the file. */
export interface ExtraSection {
  readonly title: string;
  readonly lines: readonly string[];
}

/** What was changed so that a current HAProxy takes it. */
export interface Rewritten {
  readonly sections: readonly ExtraSection[];
  /** One sentence for each change. */
  readonly notes: readonly string[];
}

/**
 * Old forms that HAProxy refuses today and that have an exact successor: `listen stats :1937` (an address on the
 * title line, gone since 1.7) becomes a `bind` line; lines are rewritten by {@link modernize}.
 */
export function rewriteSections(sections: Readonly<Record<string, readonly string[]>>): Rewritten {
  const notes: string[] = [];
  const rewritten = Object.entries(sections).map(([title, lines]): ExtraSection => {
    const [, kind, name, address, rest = ''] =
      /^\s*(listen|frontend)\s+(\S+)\s+(\S*:[0-9][0-9,:.-]*|unix@\S+|\/\S+)\s*(.*)$/.exec(title) ?? [];
    const modern = modernize(lines);
    notes.push(...modern.notes);
    if (kind === undefined || address === undefined) return { title, lines: modern.lines };
    notes.push(`'${title}' is written as '${kind} ${name}' with 'bind ${address}'`);
    return { title: `${kind} ${name}`, lines: [`bind ${address}${rest === '' ? '' : ` ${rest}`}`, ...modern.lines] };
  });
  return { sections: rewritten, notes };
}
