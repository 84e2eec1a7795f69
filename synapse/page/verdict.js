import { few, plural } from './words.js';

/**
 * @typedef {object} Problem
 * @property {'bad' | 'warn'} level
 * @property {string} title
 * @property {string} [reason]
 * @property {string} remedy what to do about it
 * @property {readonly string[]} kinds of event that tell since when
 */

/**
 * What is wrong, the worst first; empty when all is well.
 * @param {any} summary the answer of /api/v1/summary
 * @returns {readonly Problem[]}
 */
export function problemsOf(summary) {
  const found = [...ofHaproxy(summary.haproxy ?? {}), ...ofServices(Object.entries(summary.services))];
  if (found.length === 0 && summary.reason !== null) {
    found.push({
      level: 'warn',
      title: 'synapse is not ready yet',
      reason: summary.reason,
      remedy: 'Right after a start or a change this passes by itself within seconds.',
      kinds: ['reload_begun', 'configuration_read'],
    });
  }
  return found.sort((a, b) => Number(b.level === 'bad') - Number(a.level === 'bad'));
}

/**
 * @param {any} haproxy
 * @returns {Problem[]}
 */
function ofHaproxy({ sockets = [], rejected = null, problems = {}, pendingReload = [], lastError = null, held = [] }) {
  /** @type {Problem[]} */
  const found = [];
  for (const { path, connected, lastError: reason } of sockets) {
    if (connected) continue;
    found.push({
      level: 'bad',
      title: `HAProxy does not answer at ${path}`,
      reason: reason ?? 'not tried yet',
      remedy: 'Is it running? systemctl status haproxy. Once it is back, synapse brings it up to date by itself.',
      kinds: ['haproxy_lost'],
    });
  }
  const refused = Object.entries(problems);
  for (const [service, reason] of refused) {
    found.push({
      level: 'bad',
      title: `HAProxy refuses ${service}`,
      reason: String(reason),
      remedy:
        'Its last good configuration stays, and all others go on. Mend its haproxy section; synapse check tries it.',
      kinds: ['haproxy_refused', 'configuration_read'],
    });
  }
  if (rejected && refused.length === 0) {
    found.push({
      level: 'bad',
      title: 'HAProxy refuses the new configuration',
      reason: rejected,
      remedy: 'What it has goes on. Mend the global and defaults sections; synapse check tries them.',
      kinds: ['haproxy_refused'],
    });
  }
  if (lastError) {
    found.push({
      level: 'bad',
      title: 'The last reload of HAProxy failed',
      reason: lastError,
      // One that answers nowhere may not run at all.
      remedy: `${sockets.some((/** @type {any} */ one) => one.connected) ? 'What it had loaded goes on. ' : ''}Look into its log: journalctl -u haproxy.`,
      kinds: ['reload_failed'],
    });
  } else if (pendingReload.length > 0) {
    found.push({
      level: 'warn',
      title: 'A reload of HAProxy is due',
      reason: few(pendingReload),
      remedy: 'It follows by itself unless haproxy.do_reloads is false.',
      kinds: ['reload_begun', 'configuration_read'],
    });
  }
  if (held.length > 0) {
    found.push({
      level: 'warn',
      title: `${plural(held.length, 'server')} set by hand in HAProxy`,
      reason: few(held.map((/** @type {any} */ one) => `${one.backend}/${one.name}: ${one.held}`)),
      remedy: 'They stay as they are until somebody sets them back on the socket.',
      kinds: [],
    });
  }
  return found;
}

/**
 * @param {readonly [string, any][]} services
 * @returns {Problem[]}
 */
function ofServices(services) {
  /** @type {Problem[]} */
  const found = [];
  const named = (/** @type {(one: any) => unknown} */ test) =>
    services.filter(([, one]) => test(one)).map(([name]) => name);
  const stale = services.filter(([, { reason }]) => reason !== null);
  if (stale.length > 0) {
    const [[only, { reason }]] = stale;
    const etcd = stale.some(([, { method }]) => /etcd/.test(method));
    found.push({
      level: 'warn',
      title: `${stale.length === 1 ? only : plural(stale.length, 'service')} may be out of date`,
      // They differ in details, if at all: one outage is one line.
      reason,
      remedy: `Traffic goes on to the last known instances. ${etcd ? 'Is etcd well? etcdctl endpoint health.' : 'Look at that source.'}`,
      kinds: ['source_stale'],
    });
  }
  const empty = named(({ known, up }) => known && up === 0);
  if (empty.length > 0) {
    found.push({
      level: 'bad',
      title: `No instance is up: ${few(empty)}`,
      remedy: 'Requests to it fail. Ask on its hosts: nerve status. synapse explain SERVICE says what was left out.',
      kinds: ['instances'],
    });
  }
  const unknown = named(({ known }) => !known);
  if (unknown.length > 0) {
    found.push({
      level: 'warn',
      title: `Nothing is known yet of ${few(unknown)}`,
      remedy: 'HAProxy keeps what it has until the source answers.',
      kinds: ['source_stale'],
    });
  }
  const guarded = named(({ suspects }) => suspects > 0);
  if (guarded.length > 0) {
    found.push({
      level: 'warn',
      title: `Expiry guard in force: ${few(guarded)}`,
      reason: 'most leases expired together; the instances are kept as suspects',
      remedy: "HAProxy's own checks decide meanwhile. Are these hosts alive, and do they reach etcd?",
      kinds: ['guard_in_force'],
    });
  }
  const away = services.filter(([, { fallback }]) => fallback !== null);
  if (away.length > 0) {
    found.push({
      level: 'warn',
      title: `Fallback in use: ${few(away.map(([name, { fallback }]) => `${name} from ${fallback}`))}`,
      remedy: 'Its first source finds nothing. It is taken again as soon as it does.',
      kinds: ['source_switched'],
    });
  }
  const skipped = named(({ rejected }) => rejected > 0);
  if (skipped.length > 0) {
    found.push({
      level: 'warn',
      title: `Records skipped: ${few(skipped)}`,
      reason: 'they cannot be used; the others stand',
      remedy: 'Open the service, or ask synapse explain, to see which; mend or delete them where they were written.',
      kinds: ['record_rejected'],
    });
  }
  for (const [name, { refused }] of services) {
    if (refused === null) continue;
    found.push({
      level: 'warn',
      title: `Published configuration of ${name} refused`,
      reason: refused,
      remedy: 'The one from before stays in force. Publish a mended one.',
      kinds: ['published_refused'],
    });
  }
  return found;
}

/**
 * Whether something about one service wants attention.
 * @param {any} one
 */
export function isTroubled(one) {
  const { reason, up, suspects, rejected, fallback, refused } = one;
  return reason !== null || up === 0 || suspects > 0 || rejected > 0 || fallback !== null || refused !== null;
}
