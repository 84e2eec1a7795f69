import { clock } from '../../../common/async/clock.ts';
import { type Rest, restMs } from '../../../common/async/rest.ts';
import { sleep } from '../../../common/async/sleep.ts';
import { type Log, reasonOf } from '../../../common/daemon/log.ts';
import type { Host } from '../../../common/host.ts';
import type { Traffic } from './health-shape.ts';
import { readStatistics } from './reader.ts';
import { sumTraffic, TrafficHistory, type TrafficStep } from './traffic-history.ts';

/** What the meter reads, and what is told about it. */
export interface TrafficMeterDeps {
  readonly log: Log;
  readonly host: Pick<Host, 'connectUnix'>;
  /** The sockets of the processes that answer now. */
  readonly sockets: () => readonly string[];
  /** Called with what each backend of one process has done since the last reading. */
  readonly onStep: (steps: ReadonlyMap<string, TrafficStep>) => void;
}

/**
 * HAProxy spends 1 % of its time on readings at most. When it has not answered in time, the next reading follows within the
 * last minute, of which {@link TrafficMeter.of} tells.
 */
const rest: Rest = { leastMs: 5_000, factor: 100, mostMs: 30_000 };

/**
 * Reads what HAProxy counts for each backend, from time to time, so that a failure of the last minute is known when an operator
 * asks. Reads backends only, not servers, on connections of its own: no change waits for it.
 */
export class TrafficMeter {
  readonly #deps: TrafficMeterDeps;
  readonly #histories = new Map<string, TrafficHistory>();

  constructor(deps: TrafficMeterDeps) {
    this.#deps = deps;
  }

  /** What became of the requests of a backend in the last minute, in all processes together; undefined when not known. */
  of(backend: string): Traffic | undefined {
    const now = clock.now();
    const known = [...this.#histories.values()].map((history) => history.of(backend, now));
    return sumTraffic(known.filter((traffic) => traffic !== undefined));
  }

  /** Reads until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const start = clock.now();
      await Promise.all(this.#deps.sockets().map((socket) => this.#read(socket, signal)));
      await sleep(restMs(rest, clock.now() - start), signal);
    }
  }

  async #read(socket: string, signal: AbortSignal): Promise<void> {
    const { log, host, onStep } = this.#deps;
    try {
      const { backends } = await readStatistics([socket], undefined, host);
      if (signal.aborted) return;
      const history = this.#histories.get(socket) ?? new TrafficHistory();
      this.#histories.set(socket, history);
      onStep(history.take(backends, clock.now()));
    } catch (error) {
      // The connection that sends changes finds out whether HAProxy is away, and says so.
      log.debug("HAProxy's counters could not be read", { socket, reason: reasonOf(error) });
    }
  }
}
