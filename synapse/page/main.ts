import { counted } from '../../common/wording.ts';
import type { CountersDocument, SummaryDocument } from '../report/api.ts';
import type { RecordedEvent } from '../report/event-shape.ts';
import type { ServiceReport } from '../report/service-shape.ts';
import { Comparison } from './comparison.ts';
import { Connection, getDocument } from './connection.ts';
import { instanceRows, serviceParagraphs } from './detail.ts';
import { byId, clearInput, inputValue, setChildren, setText } from './dom.ts';
import { FleetPanel } from './fleet.ts';
import { Headline } from './headline.ts';
import { VirtualList } from './list.ts';
import { plot, plotWords, RateMeter } from './rates.ts';
import { chosenServices, fillService } from './services.ts';
import { Timeline } from './timeline.ts';
import { formatRate, zoneOf } from './words.ts';

/** The key of all services together; no service has such a name. */
const total = '\0';

/** Milliseconds between two updates of how long a problem has lasted. */
const headlinePaceMs = 5_000;

/** The live page: it draws what the connection reads, and reacts to the keyboard and the mouse. */
class LivePage {
  #summary: SummaryDocument | undefined;
  /** The open service. */
  #chosen: string | undefined;
  /** Undefined until it has been read. */
  #report: ServiceReport | undefined;
  /** Undefined while HAProxy does not answer. */
  #counters: CountersDocument | undefined;
  /** Where the pointer is over the plot, as a share of its width. */
  #pointer: number | undefined;
  /** Why synapse does not answer; null while it does. */
  #unreachable: string | null = null;
  readonly #serviceRates = new RateMeter();
  readonly #serverRates = new RateMeter();
  readonly #timeline = new Timeline(byId('events'), (event) => this.#isShown(event));
  readonly #headline = new Headline();
  readonly #fleet = new FleetPanel(() => this.#close());
  readonly #comparison = new Comparison();
  readonly #list = new VirtualList(byId('list'), {
    fill: (row, name) => this.#fillRow(row, name),
    open: (name) => this.#open(name),
  });

  start(): void {
    this.#listen();
    window.setInterval(() => this.#drawHeadline(), headlinePaceMs);
    const connection = new Connection({
      onSummary: (summary, partial) => this.#takeSummary(summary, partial),
      onEvents: (events) => {
        this.#timeline.add(events);
        this.#drawLink();
        this.#drawHeadline();
      },
      onRestart: () => {
        this.#timeline.clear();
        this.#drawLink();
      },
      onCounters: (counters) => this.#takeCounters(counters),
      onLink: (reason) => {
        this.#unreachable = reason;
        this.#drawLink();
        this.#drawHeadline();
      },
      chosen: () => this.#chosen,
    });
    connection.start();
  }

  #listen(): void {
    byId('search').addEventListener('input', () => this.#drawServices());
    byId('show').addEventListener('change', () => this.#drawServices());
    byId('find').addEventListener('input', () => this.#drawDetail());
    byId('kinds').addEventListener('change', () => this.#timeline.redraw());
    byId('close').addEventListener('click', () => this.#close());
    const box = byId('figure-plot');
    const point = (at: number | undefined): void => {
      this.#pointer = at;
      setText(byId('plot-label'), plotWords(this.#serviceRates.of(total).history, at));
    };
    box.addEventListener('pointermove', ({ offsetX }) => point(offsetX / box.clientWidth));
    box.addEventListener('pointerleave', () => point(undefined));
    document.addEventListener('keydown', (event) => {
      if (event.key === '/' && !(event.target instanceof HTMLInputElement)) {
        event.preventDefault();
        byId('search').focus();
      } else if (event.key === 'Escape') {
        if (this.#chosen !== undefined) this.#close();
        this.#fleet.close();
      }
    });
  }

  #isShown({ level, kind, service, services }: RecordedEvent): boolean {
    const kinds = inputValue('kinds');
    if (kinds === 'grave') return level !== 'info';
    if (kinds === 'service') {
      return this.#chosen !== undefined && (service === this.#chosen || services?.includes(this.#chosen) === true);
    }
    return kinds === 'all' || kind !== 'file_written';
  }

  #takeSummary(next: SummaryDocument, partial: boolean): void {
    const known = partial ? this.#summary?.services : undefined;
    this.#summary = known === undefined ? next : { ...next, services: { ...known, ...next.services } };
    this.#drawServices();
    this.#drawHeadline();
    this.#fleet.showCount(next.fleet?.proxies);
    byId('compare').hidden = next.fleet === undefined;
    if (this.#chosen !== undefined) void this.#readReport(this.#chosen);
  }

  #takeCounters(next: CountersDocument | undefined): void {
    // Another service may have been opened since these were asked for.
    const other = next !== undefined && next.service !== (this.#chosen ?? null);
    this.#counters = other ? { service: next.service, services: next.services, servers: null } : next;
    const at = performance.now();
    if (next !== undefined) this.#readRates(next, at);
    for (const server of this.#counters?.servers ?? []) {
      this.#serverRates.read(`${this.#chosen} ${server.name}`, server, at);
    }
    this.#drawFigures();
    this.#list.redraw();
    this.#drawDetail();
  }

  #readRates({ services }: CountersDocument, at: number): void {
    const sum = { requests: 0, sessions: 0, errors: 0 };
    for (const [name, counters] of Object.entries(services)) {
      this.#serviceRates.read(name, counters, at);
      sum.requests += counters.requests ?? counters.sessions;
      sum.errors += counters.errors;
    }
    this.#serviceRates.read(total, sum, at);
  }

  #drawFigures(): void {
    const { requests, errors, history } = this.#serviceRates.of(total);
    const known = this.#counters !== undefined && requests !== undefined;
    setText(byId('figure-requests'), known ? formatRate(requests) : '–');
    setText(byId('figure-errors'), known ? formatRate(errors) : '–');
    byId('figure-plot').replaceChildren(plot(history));
    setText(byId('plot-label'), plotWords(history, this.#pointer));
  }

  #drawServices(): void {
    if (this.#summary === undefined) return;
    const names = chosenServices(this.#summary.services, inputValue('search'), inputValue('show'));
    this.#list.show(names);
    const all = Object.values(this.#summary.services);
    setText(byId('shown'), names.length === all.length ? '' : `${names.length} of ${all.length}`);
    setText(byId('figure-services'), String(all.length));
    setText(byId('figure-instances'), String(all.reduce((sum, { up, drain }) => sum + up + drain, 0)));
  }

  #fillRow(row: HTMLElement, name: string): void {
    const service = this.#summary?.services[name];
    if (service !== undefined) fillService(row, name, { service, rates: this.#serviceRates.of(name) });
  }

  #drawLink(): void {
    const state = this.#unreachable === null ? 'live' : 'not live';
    setText(byId('zone'), `times in ${zoneOf(Date.now())}`);
    setText(byId('live'), `${state}, ${counted(this.#timeline.count, 'event')}`);
  }

  #drawHeadline(): void {
    if (this.#unreachable !== null) this.#headline.showUnreachable(this.#unreachable);
    else if (this.#summary !== undefined) this.#headline.show(this.#summary);
  }

  #open(name: string): void {
    this.#fleet.close();
    this.#comparison.open(name);
    this.#chosen = name;
    this.#report = undefined;
    this.#counters = undefined;
    setText(byId('detail-title'), name);
    clearInput('find');
    byId('detail').hidden = false;
    this.#list.mark(name);
    byId('detail-title').focus();
    if (inputValue('kinds') === 'service') this.#timeline.redraw();
    void this.#readReport(name);
    void this.#readServers(name);
  }

  #close(): void {
    this.#comparison.open(undefined);
    this.#chosen = undefined;
    this.#report = undefined;
    byId('detail').hidden = true;
    this.#list.mark(undefined);
    byId('list').focus();
  }

  async #readReport(name: string): Promise<void> {
    try {
      const report = await getDocument('/api/v1/service', { name });
      if (this.#chosen !== name) return;
      this.#report = report;
      this.#drawDetail();
    } catch {
      if (this.#chosen === name && this.#summary?.services[name] === undefined) this.#close();
    }
  }

  async #readServers(service: string): Promise<void> {
    // When HAProxy does not answer, the headline says so.
    const counters = await getDocument('/api/v1/haproxy', { service }).catch(() => undefined);
    if (counters === undefined || this.#chosen !== service) return;
    this.#counters = counters;
    this.#drawDetail();
  }

  #drawDetail(): void {
    const chosen = this.#chosen;
    if (chosen === undefined || this.#report === undefined) return;
    setChildren(byId('about'), serviceParagraphs(chosen, this.#report));
    const rows = instanceRows({
      report: this.#report,
      counters: this.#counters,
      filter: inputValue('find'),
      ratesOf: (id) => this.#serverRates.of(`${chosen} ${id}`),
    });
    setChildren(byId('instances'), rows);
  }
}

new LivePage().start();
