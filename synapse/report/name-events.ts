import type { Log } from '../../common/daemon/log.ts';
import { counted, firstOf } from '../../common/wording.ts';
import type { FailingName } from '../instance-addresses.ts';
import type { Events } from './events.ts';

/** Host names that one event names. */
const maxNamed = 10;

/**
 * Tells of host names that cannot be looked up. One outage of the DNS is a few events, however many names there are: one at its
 * begin, one whenever twice as many names fail, and one at its end.
 */
export class NameEvents {
  readonly #log: Log;
  readonly #events: Events;
  #told = 0;

  constructor(log: Log, events: Events) {
    this.#log = log;
    this.#events = events;
  }

  /** Takes the names that fail now. */
  note(failing: readonly FailingName[]): void {
    const [first] = failing;
    if (first === undefined) {
      if (this.#told > 0) this.#log.info('all host names can be looked up again');
      if (this.#told > 0) this.#events.record({ kind: 'name_resolved', level: 'info' });
      this.#told = 0;
      return;
    }
    const isNews = failing.length >= 2 * this.#told;
    this.#told = isNews ? failing.length : Math.min(this.#told, failing.length);
    if (!isNews) return;
    const names = firstOf(
      failing.map(({ name }) => name),
      maxNamed,
    ).join(', ');
    const { reason } = first;
    this.#log.warn('host names cannot be looked up, their last addresses stay', { names, reason });
    const where = `${counted(failing.length, 'host name')}: ${names}`;
    this.#events.record({ kind: 'name_unresolved', level: 'warn', where, reason });
  }
}
