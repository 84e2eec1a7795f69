import { counted, formatAge } from '../../common/wording.ts';
import type { SummaryDocument } from '../report/api.ts';
import { calmText, findProblems } from '../report/problems.ts';
import type { Problem } from '../report/status-shape.ts';
import { byId, element, setChildren, setText } from './dom.ts';
import { timeWithZone } from './words.ts';

/** The head of the page: what is wrong, since when, and what to do; or that all is well. */
export class Headline {
  /** When this page first saw each problem that synapse has not dated yet, by its title; milliseconds since 1970. */
  readonly #seen = new Map<string, number>();

  /** The name of the host, once it is known. */
  #host = '';

  /** Shows that synapse does not answer. */
  showUnreachable(reason: string): void {
    this.#show('bad', 'synapse does not answer', { details: `${reason}; this page may be out of date`, problems: [] });
  }

  /** Shows the worst problem of this summary, and lists all of them. */
  show(summary: SummaryDocument): void {
    const { host, version, reason } = summary;
    const problems = findProblems(summary, reason);
    this.#noteBeginnings(problems);
    this.#host = host;
    const [worst] = problems;
    if (worst === undefined) {
      const { isProven, text } = calmText(summary);
      const [level, headline, details] = isProven
        ? (['good', 'All is well', 'every service is current and in HAProxy'] as const)
        : (['wait', 'No problem is known', text] as const);
      this.#show(level, headline, { details: `${details}; synapse ${version} on ${host}`, problems });
      return;
    }
    const more = problems.length === 1 ? '' : `, and ${counted(problems.length - 1, 'other problem')}`;
    this.#show(worst.level, worst.title, { details: `${this.#sinceText(worst)}${more}; on ${host}`, problems });
  }

  #sinceText({ since, title }: Problem): string {
    const began = since === null ? (this.#seen.get(title) ?? Date.now()) : Date.parse(since);
    return `since ${timeWithZone(began)}, ${formatAge(Date.now() - began)} ago`;
  }

  #noteBeginnings(problems: readonly Problem[]): void {
    const titles = new Set(problems.map(({ title }) => title));
    for (const title of this.#seen.keys()) if (!titles.has(title)) this.#seen.delete(title);
    for (const { title } of problems) if (!this.#seen.has(title)) this.#seen.set(title, Date.now());
  }

  #show(
    level: Level,
    headline: string,
    { details, problems }: { readonly details: string; readonly problems: readonly Problem[] },
  ): void {
    byId('verdict').dataset.level = level;
    setText(byId('headline'), headline);
    setText(byId('since'), details);
    const host = this.#host;
    const name = host === '' ? 'synapse' : `synapse ${host}`;
    document.title = { good: name, wait: name, warn: `! ${host} ${headline}`, bad: `✗ ${host} ${headline}` }[level];
    const box = byId('problems');
    box.hidden = problems.length === 0;
    setChildren(box, problems.map(problemItem));
  }
}

type Level = Problem['level'] | 'good' | 'wait';

function problemItem({ level, title, reason, remedy, command, manual }: Problem): HTMLElement {
  const item = element('li', '', [
    element('span', '', [
      element('strong', '', title),
      document.createTextNode(reason === undefined ? '' : `: ${reason}`),
    ]),
    element('span', 'remedy', [document.createTextNode(`${remedy} Manual: ${manual}.`), element('code', '', command)]),
  ]);
  item.dataset.level = level;
  return item;
}
