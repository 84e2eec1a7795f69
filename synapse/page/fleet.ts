import { ageOf, counted, formatLatency } from '../../common/wording.ts';
import type { FleetDocument, FleetProxy } from '../report/fleet-shape.ts';
import { getDocument } from './connection.ts';
import { byId, element, setChildren, setText } from './dom.ts';
import { failureText, few, timeOfDay } from './words.ts';

/** Rows shown at once: a fleet may have thousands of hosts, and those that lag come first. */
const maxRows = 500;

/** Milliseconds between two readings of who is there, while the panel is open and the page is visible. */
const presencePaceMs = 10_000;

/**
 * The panel of all proxies. It asks them how far they are when it is opened, and when a person presses the button: never by itself,
 * because each question costs writes in etcd for every host.
 */
export class FleetPanel {
  /** The last answer of all. */
  #asked: FleetDocument | undefined;
  /** Who is there now. */
  #present: FleetDocument | undefined;
  #isAsking = false;

  /** `onOpen` is called when the panel is opened: it takes the place of an open service. */
  constructor(onOpen: () => void) {
    byId('fleet-open').addEventListener('click', () => {
      onOpen();
      this.#open();
    });
    byId('fleet-close').addEventListener('click', () => this.close());
    byId('fleet-ask').addEventListener('click', () => void this.#ask());
    window.setInterval(() => {
      if (!byId('fleet').hidden && document.visibilityState === 'visible') void this.#readPresence();
    }, presencePaceMs);
  }

  /** Closes the panel. */
  close(): void {
    const panel = byId('fleet');
    if (panel.hidden) return;
    panel.hidden = true;
    byId('fleet-open').focus();
  }

  /** Shows how many proxies there are; undefined where this synapse takes no part in a fleet. */
  showCount(proxies: number | null | undefined): void {
    byId('fleet-figure').hidden = proxies === undefined;
    setText(byId('fleet-open'), String(this.#present?.proxies.length ?? proxies ?? '?'));
  }

  #open(): void {
    byId('fleet').hidden = false;
    byId('fleet-title').focus();
    void this.#ask();
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#draw();
    try {
      this.#asked = await getDocument('/api/v1/fleet', { ask: 'now' });
      this.#present = this.#asked;
    } catch (error) {
      this.#fail(error);
    }
    this.#isAsking = false;
    this.#draw();
  }

  async #readPresence(): Promise<void> {
    if (this.#isAsking) return;
    this.#present = await getDocument('/api/v1/fleet', {}).catch(() => this.#present);
    this.#draw();
  }

  #fail(error: unknown): void {
    const known = this.#present ?? this.#asked;
    const reason = failureText(error);
    if (known !== undefined) this.#asked = { ...known, asked_at: null, reason };
    else setText(byId('fleet-verdict'), reason);
  }

  #draw(): void {
    const ask = byId('fleet-ask') as HTMLButtonElement;
    ask.disabled = this.#isAsking;
    setText(ask, this.#isAsking ? 'Asking …' : 'Ask all now');
    const proxies = proxiesOf(this.#present, this.#asked);
    if (proxies === undefined) return;
    setText(byId('fleet-open'), String(proxies.length));
    const { level, text } = verdictOf(proxies, this.#asked);
    const verdict = byId('fleet-verdict');
    verdict.className = `verdict-text ${level}`;
    verdict.title = text;
    setText(verdict, text);
    const slowest = Math.max(0, ...proxies.map(({ milliseconds }) => milliseconds ?? 0));
    const rows = proxies.slice(0, maxRows).map((proxy) => proxyRow(proxy, slowest));
    if (proxies.length > maxRows)
      rows.push(noteRow(`and ${counted(proxies.length - maxRows, 'other proxy', 'other proxies')}`));
    if (proxies.length === 0) rows.push(noteRow('No synapse takes part'));
    setChildren(byId('proxies'), rows);
  }
}

/** Who is there now, with what each said when all were asked; those that came later have said nothing. */
function proxiesOf(
  present: FleetDocument | undefined,
  asked: FleetDocument | undefined,
): readonly FleetProxy[] | undefined {
  if (present === undefined || present === asked) return present?.proxies;
  const said = new Map(asked?.proxies.map((proxy) => [proxy.proxy, proxy]));
  const now = new Map(present.proxies.map((proxy) => [proxy.proxy, proxy]));
  const known = (asked?.proxies ?? []).filter(({ proxy }) => now.has(proxy));
  return [...known, ...present.proxies.filter(({ proxy }) => !said.has(proxy))];
}

interface Verdict {
  readonly level: 'good' | 'warn' | 'soft';
  readonly text: string;
}

function verdictOf(proxies: readonly FleetProxy[], asked: FleetDocument | undefined): Verdict {
  if (asked === undefined || asked.asked_at === null) return { level: 'warn', text: asked?.reason ?? '' };
  const has = proxies.filter(({ milliseconds }) => milliseconds !== null).length;
  const all = counted(proxies.length, 'proxy', 'proxies');
  const text = `${has} of ${all} had revision ${asked.revision ?? '?'} at ${timeOfDay(asked.asked_at)}`;
  return { level: has === proxies.length && has > 0 ? 'good' : 'warn', text };
}

function proxyRow(proxy: FleetProxy, slowestMs: number): HTMLElement {
  const { proxy: id, host, version, startedAt, haproxyProcesses, paths } = proxy;
  const follows = element('td', 'soft', few(paths) || '·');
  follows.title = paths.join('\n');
  return element('tr', '', [
    element('td', 'name', id),
    appliedCell(proxy, slowestMs),
    element('td', 'soft', host === id ? '·' : (host ?? '·')),
    element('td', 'soft', version ?? '·'),
    element('td', 'soft', ageOf(startedAt, Date.now()) || '·'),
    element('td', 'number', String(haproxyProcesses ?? '·')),
    follows,
  ]);
}

/** How long it took, beside a bar that is as long as that in comparison with the slowest; or why it has not. */
function appliedCell({ milliseconds, reason }: FleetProxy, slowestMs: number): HTMLElement {
  if (milliseconds === null) return element('td', reason === null ? 'soft' : 'bad reason', reason ?? 'not asked');
  const bar = document.createElement('meter');
  bar.className = 'soft';
  bar.max = Math.max(slowestMs, 1);
  bar.value = milliseconds;
  bar.setAttribute('aria-hidden', 'true');
  return element('td', 'usable good', [bar, document.createTextNode(formatLatency(milliseconds))]);
}

function noteRow(text: string): HTMLElement {
  const cell = element('td', 'soft', text);
  cell.setAttribute('colspan', '7');
  return element('tr', '', [cell]);
}
