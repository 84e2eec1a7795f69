import { clock } from '../../common/async/clock.ts';
import type { Log } from '../../common/daemon/log.ts';
import { keepNewest } from '../../common/keep-newest.ts';
import { counted, firstOf } from '../../common/wording.ts';
import type { CatalogChange } from '../catalog/catalog-entry.ts';
import { instanceReturns } from '../metrics.ts';
import type { Events } from './events.ts';

/** How often one instance has left its registry and come back. */
export interface Returns {
  readonly times: number;
  /** When it left last, milliseconds of `clock.wallTime()`. */
  readonly leftAt: number;
  /** When it came back last; null while it is away, or has not come back yet. */
  readonly backAt: number | null;
}

/** How many instances are remembered, of all services together. */
const maxRemembered = 10_000;
/** Ids that one event names. */
const maxNamed = 10;
/** An instance that has stayed this long since its last return begins again at 0, milliseconds. */
const calmMs = 600_000;

/** The 1st, 3rd, 10th, 30th, 100th time and so on are told: one instance that comes and goes must not fill log and journal. */
function isTold(times: number): boolean {
  const power = 10 ** Math.floor(Math.log10(times));
  return times === power || times === 3 * power;
}

/**
 * Remembers which instances leave their registry and come back. Outputs may show nothing of it: the last instance of a
 * service stays in use, and one that is back at once was never gone.
 */
export class InstanceReturns {
  /** By service and id. */
  readonly #known = new Map<string, Returns>();

  /** Takes what changed in the registry, and tells of it where nothing else does. */
  note(change: CatalogChange, deps: { readonly log: Log; readonly events: Events }): void {
    const { service, left, came, wasPrevious, isPrevious } = change;
    if (left.length === 0 && came.length === 0) return;
    const now = clock.wallTime();
    const gone = left.map((id) => [id, this.#left(service, id, now)] as const);
    const back = came.flatMap((id) => this.#back(service, id, now));
    if (back.length > 0) instanceReturns.inc({ service }, back.length);
    if (isPrevious) this.#tellGone(service, gone, deps);
    this.#tellBack(service, back, { ...deps, isHidden: wasPrevious });
  }

  /** The instances of one service that have left since synapse started, by id. */
  of(service: string): ReadonlyMap<string, Returns> {
    const prefix = keyOf(service, '');
    const found = new Map<string, Returns>();
    for (const [key, one] of this.#known) if (key.startsWith(prefix)) found.set(key.slice(prefix.length), one);
    return found;
  }

  #left(service: string, id: string, now: number): number {
    const known = this.#known.get(keyOf(service, id));
    const isCalm = known === undefined || (known.backAt !== null && now - known.backAt > calmMs);
    const value: Returns = { times: isCalm ? 0 : known.times, leftAt: now, backAt: null };
    keepNewest(this.#known, keyOf(service, id), { value, most: maxRemembered });
    return value.times + 1;
  }

  #back(service: string, id: string, now: number): readonly (readonly [id: string, times: number])[] {
    const known = this.#known.get(keyOf(service, id));
    // An instance that was never seen to leave is new.
    if (known === undefined || known.backAt !== null) return [];
    const value: Returns = { ...known, times: known.times + 1, backAt: now };
    keepNewest(this.#known, keyOf(service, id), { value, most: maxRemembered });
    return [[id, value.times]];
  }

  #tellGone(
    service: string,
    gone: readonly (readonly [id: string, times: number])[],
    { log, events }: { readonly log: Log; readonly events: Events },
  ): void {
    const told = gone.filter(([, times]) => isTold(times)).map(([id]) => id);
    if (told.length === 0) return;
    const removed = firstOf(told, maxNamed);
    log.warn('instances left their registry and stay in use, because no other is left', { service, removed });
    events.record({ kind: 'left_in_use', level: 'warn', service, removed, reason: 'no other instance is left' });
  }

  #tellBack(
    service: string,
    back: readonly (readonly [id: string, times: number])[],
    { log, events, isHidden }: { readonly log: Log; readonly events: Events; readonly isHidden: boolean },
  ): void {
    // The first return of an instance that was out of use has its event already.
    const told = back.filter(([, times]) => isTold(times) && (isHidden || times > 1));
    if (told.length === 0) return;
    const added = firstOf(
      told.map(([id]) => id),
      maxNamed,
    );
    const times = Math.max(...told.map(([, count]) => count));
    const reason = `left and came back ${counted(times, 'time')}`;
    const level = times > 1 ? 'warn' : 'info';
    log[level]('instances came back to their registry', { service, added, times });
    events.record({ kind: 'came_back', level, service, added, reason });
  }
}

/** The name of a service has no space in it. */
function keyOf(service: string, id: string): string {
  return `${service} ${id}`;
}
