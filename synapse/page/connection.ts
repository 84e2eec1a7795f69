import type { ApiDocuments, CountersDocument, SummaryDocument } from '../report/api.ts';
import type { RecordedEvent } from '../report/event-shape.ts';
import { failureText } from './words.ts';

/** Milliseconds between two readings of HAProxy's counters. */
const countersPaceMs = 2_000;
/** A reading of the counters may take this share of the time, so that a slow HAProxy is read less often. */
const countersShare = 0.1;
/** Milliseconds between two full readings: ages grow without events. */
const renewalMs = 10_000;
/** Milliseconds in which a burst of events becomes one reading. */
const gatherMs = 200;
/** Milliseconds in which a burst of events is shown at once. */
const showMs = 50;
/** When more services than this changed at once, all are read. */
const manyServices = 30;
/** Deadline of each answer, milliseconds. */
const answerTimeoutMs = 10_000;

/** The page, as far as the connection knows it. */
export interface PageParts {
  /** The summary of all services; `partial`: only of some. */
  onSummary(summary: SummaryDocument, partial: boolean): void;
  onEvents(events: readonly RecordedEvent[]): void;
  /** Another synapse process answers now: its events have numbers of their own. */
  onRestart(): void;
  /** Undefined when HAProxy does not answer. */
  onCounters(counters: CountersDocument | undefined): void;
  /** Why synapse does not answer; null when it does. */
  onLink(reason: string | null): void;
  /** The service that is open. */
  chosen(): string | undefined;
}

/** Keeps the page current: reads a summary first, then what events say has changed, and counters while the page is visible. */
export class Connection {
  readonly #page: PageParts;
  /** Services to read again. */
  #dirty = new Set<string>();
  #allDirty = true;
  #readTimer: number | undefined;
  #isReading = false;
  /** When the synapse that answers started to count events. */
  #began: string | undefined;
  #unshown: RecordedEvent[] = [];

  constructor(page: PageParts) {
    this.#page = page;
  }

  /** Connects, for as long as the page is open. */
  start(): void {
    const stream = new EventSource('api/v1/events/stream');
    stream.addEventListener('hello', ({ data }) => this.#onHello(JSON.parse(data)));
    stream.onmessage = ({ data }) => this.#onEvent(JSON.parse(data));
    stream.onerror = () => this.#markAll();
    void this.#readCounters();
    window.setInterval(() => {
      if (document.visibilityState === 'visible') this.#markAll();
    }, renewalMs);
    document.addEventListener('visibilitychange', () => this.#readSoon());
  }

  #onHello({ began }: { readonly began: string }): void {
    if (this.#began !== undefined && this.#began !== began) this.#page.onRestart();
    this.#began = began;
    this.#markAll();
  }

  #onEvent(event: RecordedEvent): void {
    if (this.#unshown.length === 0) {
      // Not at the next frame: a hidden page has none, and its list would grow.
      window.setTimeout(() => {
        const events = this.#unshown;
        this.#unshown = [];
        this.#page.onEvents(events);
      }, showMs);
    }
    this.#unshown.push(event);
    // An event about no single service may concern all of them.
    if (event.service !== undefined) this.#dirty.add(event.service);
    else if (event.kind !== 'file_written') this.#allDirty = true;
    this.#readSoon();
  }

  #markAll(): void {
    this.#allDirty = true;
    this.#readSoon();
  }

  #readSoon(): void {
    this.#readTimer ??= window.setTimeout(() => void this.#readSummary(), gatherMs);
  }

  async #readSummary(): Promise<void> {
    this.#readTimer = undefined;
    if (this.#isReading) return;
    this.#isReading = true;
    const names = this.#allDirty || this.#dirty.size > manyServices ? [] : [...this.#dirty];
    this.#dirty = new Set();
    this.#allDirty = false;
    try {
      const query = names.map((name): [string, string] => ['service', name]);
      this.#page.onSummary(await getDocument('/api/v1/summary', query), names.length > 0);
      this.#page.onLink(null);
    } catch (error) {
      this.#allDirty = true;
      this.#page.onLink(failureText(error));
    }
    this.#isReading = false;
    if (this.#dirty.size > 0) this.#readSoon();
  }

  async #readCounters(): Promise<void> {
    const start = performance.now();
    if (document.visibilityState === 'visible') {
      const service = this.#page.chosen();
      const counters = await getDocument('/api/v1/haproxy', service === undefined ? {} : { service }).catch(
        () => undefined,
      );
      this.#page.onCounters(counters);
    }
    const pause = Math.max(countersPaceMs, (performance.now() - start) / countersShare);
    window.setTimeout(() => void this.#readCounters(), pause);
  }
}

/**
 * Reads one document of synapse.
 * @throws when synapse does not answer, saying what to do, or when it refuses
 */
export async function getDocument<Path extends keyof ApiDocuments>(
  path: Path,
  query: Readonly<Record<string, string>> | [string, string][],
): Promise<ApiDocuments[Path]> {
  // Relative, so that the page also works below a path of a reverse proxy.
  const url = `${path.slice(1)}?${new URLSearchParams(query)}`;
  const response = await fetch(url, { signal: AbortSignal.timeout(answerTimeoutMs) }).catch(() => {
    throw new Error('does it run? systemctl status synapse');
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? `HTTP status ${response.status}`);
  return answer;
}
