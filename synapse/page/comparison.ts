import { counted } from '../../common/wording.ts';
import type { FleetDifference, FleetDocument } from '../report/fleet-shape.ts';
import { getDocument } from './connection.ts';
import { byId, element, setChildren, setText } from './dom.ts';
import { failureText, few } from './words.ts';

/** What all hosts have of the open service: asked for when a person presses the button, and never by itself. */
export class Comparison {
  #service: string | undefined;

  constructor() {
    byId('compare').addEventListener('click', () => void this.#ask());
  }

  /** Another service is open; undefined: none. What was said of the one before goes. */
  open(service: string | undefined): void {
    this.#service = service;
    byId('elsewhere').hidden = true;
    this.#enable(true);
  }

  async #ask(): Promise<void> {
    const service = this.#service;
    if (service === undefined) return;
    this.#enable(false);
    const paragraphs = await getDocument('/api/v1/fleet', { service }).then(paragraphsOf, (error) => [
      element('p', 'warn', failureText(error)),
    ]);
    if (this.#service !== service) return;
    this.#enable(true);
    byId('elsewhere').hidden = false;
    setChildren(byId('elsewhere'), paragraphs);
  }

  #enable(isOn: boolean): void {
    const button = byId('compare') as HTMLButtonElement;
    button.disabled = !isOn;
    setText(button, isOn ? 'Compare hosts' : 'Asking …');
  }
}

/** What the hosts have of one service, a paragraph each. */
function paragraphsOf(found: FleetDocument): readonly HTMLElement[] {
  const { proxies, reason, asked_at, differences = [], not_compared: rest = 0 } = found;
  if (asked_at === null) return [element('p', 'warn', reason ?? '')];
  const behind = proxies.filter(({ milliseconds }) => milliseconds === null);
  const all = counted(proxies.length, 'proxy', 'proxies');
  const lines = [
    ...behind.map(({ proxy, reason: why }) => element('p', 'bad', `${proxy}: ${why ?? 'no answer'}`)),
    ...differences.map((difference) => element('p', 'bad', differenceText(difference))),
  ];
  if (lines.length === 0)
    lines.push(element('p', 'good', `The same in ${all}: ${few(proxies.map(({ proxy }) => proxy))}`));
  if (rest > 0) lines.push(element('p', 'soft', `${counted(rest, 'more instance')} not compared`));
  return lines;
}

function differenceText({ instance, has, unused, others }: FleetDifference): string {
  const names = few(others.map(({ proxy, reason }) => `${proxy} (${reason})`));
  const not = unused === 0 ? '' : `, not used by ${unused}`;
  return `${instance}: in rotation in ${counted(has, 'proxy', 'proxies')}${not}; not in ${names}`;
}
