/** How many points a plot has: two minutes at one each two seconds. */
const points = 60;

/**
 * Rates from counters that only grow, until a new worker begins at zero.
 */
export function createRates() {
  /** @type {Map<string, { at: number, requests: number, errors: number, rates: number[], errorRate: number }>} */
  const known = new Map();
  return {
    /**
     * @param {string} key
     * @param {{ requests: number | null, sessions: number, errors: number }} counters
     * @param {number} at milliseconds
     */
    take(key, counters, at) {
      const requests = counters.requests ?? counters.sessions;
      const last = known.get(key);
      const seconds = last === undefined ? 0 : (at - last.at) / 1000;
      const entry = { at, requests, errors: counters.errors, rates: last?.rates ?? [], errorRate: 0 };
      if (last !== undefined && seconds > 0) {
        // A new worker counts from zero: what it has counted came since then.
        entry.rates.push((requests >= last.requests ? requests - last.requests : requests) / seconds);
        entry.errorRate = Math.max(0, counters.errors - last.errors) / seconds;
        if (entry.rates.length > points) entry.rates.shift();
      }
      known.set(key, entry);
    },
    /** @param {string} key */
    of(key) {
      const entry = known.get(key);
      return { rates: entry?.rates ?? [], now: entry?.rates.at(-1), errors: entry?.errorRate ?? 0 };
    },
  };
}

const space = 'http://www.w3.org/2000/svg';

/**
 * A small plot, scaled to its own highest value. It says nothing that is not beside it in words.
 * @param {readonly number[]} values
 */
export function plot(values) {
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('class', 'spark');
  svg.setAttribute('viewBox', `0 0 ${points - 1} 20`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(space, 'path');
  path.setAttribute('d', line(values));
  svg.append(path);
  return svg;
}

/** @param {readonly number[]} values */
export function line(values) {
  if (values.length < 2) return '';
  const top = Math.max(...values, 1);
  const first = points - values.length;
  return values
    .map((value, index) => `${index === 0 ? 'M' : 'L'}${first + index} ${(19 - (value / top) * 18).toFixed(1)}`)
    .join('');
}
