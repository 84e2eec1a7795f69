/** Between two readings of HAProxy's counters, milliseconds. */
const pace = 2_000;
/** Everything is read anew so often: ages grow without events. Milliseconds. */
const renewal = 10_000;
/** A burst of events is one reading. Milliseconds. */
const gather = 200;
/** More services than this at once: all are read. */
const many = 30;

/**
 * Keeps the page current: a summary at first, then what events say has changed, and counters while somebody looks.
 * @param {{ onSummary(summary: any, partial: boolean): void, onEvents(events: any[]): void, onCounters(view: any): void,
 *   onLink(reason: string | null): void, chosen(): string | undefined }} page
 */
export function connect(page) {
  /** @type {Set<string>} */
  let dirty = new Set();
  let everything = true;
  let timer = 0;
  let reading = false;
  /** @type {string | undefined} */
  let began;

  const read = async () => {
    timer = 0;
    if (reading) return;
    reading = true;
    const names = everything || dirty.size > many ? [] : [...dirty];
    dirty = new Set();
    everything = false;
    try {
      const query = names.map((name) => `service=${encodeURIComponent(name)}`).join('&');
      page.onSummary(await getJson(`api/v1/summary?${query}`), names.length > 0);
      page.onLink(null);
    } catch (error) {
      everything = true;
      page.onLink(String(error instanceof Error ? error.message : error));
    }
    reading = false;
    if (dirty.size > 0) soon();
  };
  const soon = () => {
    if (timer === 0) timer = window.setTimeout(read, gather);
  };

  const stream = new EventSource('api/v1/events/stream');
  stream.addEventListener('hello', (message) => {
    const hello = JSON.parse(message.data);
    if (began !== undefined && began !== hello.began) page.onEvents([]);
    began = hello.began;
    everything = true;
    soon();
  });
  /** @type {any[]} */
  let waiting = [];
  stream.onmessage = (message) => {
    const event = JSON.parse(message.data);
    if (waiting.length === 0) {
      // Not at the next frame: a page that nobody looks at has none, and its list would grow.
      window.setTimeout(() => {
        page.onEvents(waiting);
        waiting = [];
      }, gather / 4);
    }
    waiting.push(event);
    // What concerns no single service may concern all of them.
    if (typeof event.service === 'string') dirty.add(event.service);
    else if (event.kind !== 'file_written') everything = true;
    soon();
  };
  stream.onerror = () => {
    everything = true;
    soon();
  };

  const count = async () => {
    const start = performance.now();
    if (document.visibilityState === 'visible') {
      const name = page.chosen();
      const query = name === undefined ? '' : `?service=${encodeURIComponent(name)}`;
      await getJson(`api/v1/haproxy${query}`).then(page.onCounters, () => page.onCounters(undefined));
    }
    window.setTimeout(count, Math.max(pace, (performance.now() - start) * 10));
  };
  void count();
  window.setInterval(() => {
    if (document.visibilityState !== 'visible') return;
    everything = true;
    soon();
  }, renewal);
  document.addEventListener('visibilitychange', soon);
}

/**
 * @param {string} path
 * @returns {Promise<any>}
 */
export async function getJson(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(10_000) }).catch(() => {
    throw new Error('is it running? systemctl status synapse');
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? `HTTP status ${response.status}`);
  return answer;
}
