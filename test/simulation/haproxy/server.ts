import type { Scheduler, SimulatedProcess } from '../engine/scheduler.ts';

/** Whether something answers at an address, as a host sees it; `silent` takes until the caller's own time is over. */
export type Reachability = 'answers' | 'refused' | 'silent';

/** How HAProxy sees the network. */
export type Look = (address: string) => Reachability;

/** `srv_admin_state` (management guide, `show servers state`). */
export const adminFlags = { forcedMaintenance: 0x01, configuredMaintenance: 0x04, forcedDrain: 0x08 } as const;

/** One server of one worker. */
export class SimulatedServer {
  readonly name: string;
  readonly id: number;
  readonly address: string;
  /** `check` was given, and for a server added at run time enabled. */
  readonly checked: boolean;
  readonly backup: boolean;
  readonly initialWeight: number;
  weight: number;
  admin = 0;
  /** By HAProxy's own check; true without one. */
  healthy = true;
  checking: boolean;
  /** Requests and connections under way. */
  sessions = 0;
  #good = 0;
  #bad = 0;
  readonly #intervalMs: number;
  readonly #rise: number;
  readonly #fall: number;

  constructor(name: string, address: string, words: readonly string[], id: number, atRunTime: boolean) {
    const value = (keyword: string): string | undefined => {
      const at = words.indexOf(keyword);
      return at < 0 ? undefined : words[at + 1];
    };
    this.name = name;
    this.address = address;
    this.id = id;
    this.checked = words.includes('check');
    this.checking = this.checked && !atRunTime;
    this.backup = words.includes('backup');
    this.initialWeight = Number(value('weight') ?? 1);
    this.weight = this.initialWeight;
    this.#intervalMs = milliseconds(value('inter') ?? '2s');
    this.#rise = Number(value('rise') ?? 2);
    this.#fall = Number(value('fall') ?? 3);
    if (atRunTime) this.admin = adminFlags.forcedMaintenance;
    else if (words.includes('disabled')) this.admin = adminFlags.forcedMaintenance | adminFlags.configuredMaintenance;
    if (words.includes('init-state') && /down/.test(value('init-state') ?? '')) this.healthy = false;
  }

  get inMaintenance(): boolean {
    return (this.admin & adminFlags.forcedMaintenance) !== 0;
  }

  get drained(): boolean {
    return (this.admin & adminFlags.forcedDrain) !== 0;
  }

  /** Neither synapse nor an operator keeps new requests from it by its state. */
  get isOpen(): boolean {
    return !this.inMaintenance && !this.drained;
  }

  /** New requests may go to it. */
  get usable(): boolean {
    return this.isOpen && this.healthy && this.weight > 0;
  }

  /** `srv_op_state`: 0 stopped, 2 running. */
  get operation(): number {
    return this.inMaintenance || !this.healthy ? 0 : 2;
  }

  /** `set server … health down`: from then on the check decides. */
  forceDown(): void {
    if (!this.checking) return;
    this.healthy = false;
    this.#good = 0;
  }

  /** Checks it until its worker ends. */
  startChecks(scheduler: Scheduler, process: SimulatedProcess, look: Look): void {
    const again = (): void => {
      scheduler.at(
        this.#intervalMs,
        () => {
          if (!this.checking || this.inMaintenance) return again();
          const seen = look(this.address);
          // A connection that is not answered takes `timeout connect` (here: as long as the interval) each time.
          const afterMs = seen === 'silent' ? Math.max(this.#intervalMs, 5_000) : 1;
          scheduler.at(
            afterMs,
            () => {
              this.#count(seen === 'answers');
              again();
            },
            process,
          );
          return undefined;
        },
        process,
      );
    };
    again();
  }

  #count(good: boolean): void {
    if (this.inMaintenance) return;
    this.#good = good ? this.#good + 1 : 0;
    this.#bad = good ? 0 : this.#bad + 1;
    if (this.#bad >= this.#fall) this.healthy = false;
    if (this.#good >= this.#rise) this.healthy = true;
  }
}

function milliseconds(text: string): number {
  const [, number = '2', unit = 'ms'] = /^(\d+)(ms|s|m)?$/.exec(text) ?? [];
  return Number(number) * { ms: 1, s: 1_000, m: 60_000 }[unit as 'ms' | 's' | 'm'];
}
