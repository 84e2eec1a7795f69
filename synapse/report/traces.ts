import { keepNewest } from '../../common/keep-newest.ts';
import type { Trace } from './trace-shape.ts';

/** How many traces are kept, of all services together; each takes some hundred bytes. */
const maxTraces = 10_000;

/** The newest change of each instance, so that `synapse explain` can say how the instance came to HAProxy, or left it. */
export class Traces {
  readonly #traces = new Map<string, Trace>();

  /** Remembers the newest change of one instance. */
  note(service: string, id: string, trace: Trace): void {
    keepNewest(this.#traces, keyOf(service, id), { value: trace, most: maxTraces });
  }

  /** The traces of one service, by id of the instance. */
  of(service: string): Readonly<Record<string, Trace>> {
    const prefix = keyOf(service, '');
    const found: [string, Trace][] = [];
    for (const [key, trace] of this.#traces) if (key.startsWith(prefix)) found.push([key.slice(prefix.length), trace]);
    return Object.fromEntries(found);
  }
}

/** The name of a service has no space in it. */
function keyOf(service: string, id: string): string {
  return `${service} ${id}`;
}
