import { keepNewest } from '../../common/daemon/journal.ts';
import type { Trace } from './trace-shape.ts';

/** How many are remembered, of all services together; some hundred bytes each. */
const most = 10_000;

/** The way of each instance that changed, for who asks later why it is, or is not, in HAProxy. */
export class Traces {
  readonly #traces = new Map<string, Trace>();
  /** How instances went, until it is applied. */
  readonly #gone = new Map<string, 'withdrawn' | 'expired'>();

  /** An instance left its source: told just before that is applied. */
  gone(service: string, id: string, how: 'withdrawn' | 'expired'): void {
    keepNewest(this.#gone, keyOf(service, id), { value: how, most });
  }

  note(service: string, ids: readonly string[], trace: Trace): void {
    for (const id of ids) {
      const key = keyOf(service, id);
      const how = this.#gone.get(key);
      this.#gone.delete(key);
      const value = how !== undefined && trace.change === 'removed' ? { ...trace, how } : trace;
      keepNewest(this.#traces, key, { value, most });
    }
  }

  /** Of one service, by id. */
  of(service: string): Readonly<Record<string, Trace>> {
    const prefix = keyOf(service, '');
    const found: [string, Trace][] = [];
    for (const [key, trace] of this.#traces) if (key.startsWith(prefix)) found.push([key.slice(prefix.length), trace]);
    return Object.fromEntries(found);
  }
}

/** No name of a service has a space in it. */
function keyOf(service: string, id: string): string {
  return `${service} ${id}`;
}
