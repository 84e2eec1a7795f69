import { counted, formatAge } from '../../common/wording.ts';
import type { SummaryDocument } from '../report/api.ts';
import type { FoundProblem } from '../report/found-problem.ts';
import { findProblems } from '../report/problems.ts';
import { byId, element, setChildren, setText } from './dom.ts';
import type { Timeline } from './timeline.ts';
import { timeOfDay } from './words.ts';

/** The head of the page: what is wrong, since when, and what to do; or that all is well. */
export class Headline {
  readonly #timeline: Timeline;
  /** When each problem began, by its title; milliseconds since 1970. */
  readonly #began = new Map<string, number>();

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  /** Shows that synapse does not answer. */
  showUnreachable(reason: string): void {
    show('bad', 'synapse does not answer', { details: `${reason}; this page may be out of date`, problems: [] });
  }

  /** Shows the worst problem of this summary, and lists all of them. */
  show(summary: SummaryDocument): void {
    const problems = findProblems(summary, summary.reason);
    this.#noteBeginnings(problems);
    const [worst] = problems;
    if (worst === undefined) {
      const details = `every service is current and in HAProxy; synapse ${summary.version}`;
      show('good', 'All is well', { details, problems });
      return;
    }
    const began = this.#began.get(worst.title) ?? Date.now();
    const more = problems.length === 1 ? '' : `, and ${counted(problems.length - 1, 'other problem')}`;
    const since = `since ${timeOfDay(new Date(began).toISOString())}, ${formatAge(Date.now() - began)} ago`;
    show(worst.level, worst.title, { details: `${since}${more}`, problems });
  }

  #noteBeginnings(problems: readonly FoundProblem[]): void {
    const titles = new Set(problems.map(({ title }) => title));
    for (const title of this.#began.keys()) if (!titles.has(title)) this.#began.delete(title);
    for (const { title, kinds } of problems) {
      if (this.#began.has(title)) continue;
      const time = this.#timeline.lastOf(kinds);
      this.#began.set(title, time === undefined ? Date.now() : Date.parse(time));
    }
  }
}

function show(
  level: 'good' | FoundProblem['level'],
  headline: string,
  { details, problems }: { readonly details: string; readonly problems: readonly FoundProblem[] },
): void {
  byId('verdict').dataset.level = level;
  setText(byId('headline'), headline);
  setText(byId('since'), details);
  document.title = level === 'good' ? 'synapse' : `${level === 'bad' ? '✗' : '!'} ${headline}`;
  const box = byId('problems');
  box.hidden = problems.length === 0;
  setChildren(box, problems.map(problemItem));
}

function problemItem({ level, title, reason, remedy }: FoundProblem): HTMLElement {
  const item = element('li', '', [
    element('span', '', [
      element('strong', '', title),
      document.createTextNode(reason === undefined ? '' : `: ${reason}`),
    ]),
    element('span', 'remedy', remedy),
  ]);
  item.dataset.level = level;
  return item;
}
