import { linkAbort } from '../../common/async/abort.ts';
import { clock } from '../../common/async/clock.ts';
import { Semaphore } from '../../common/async/semaphore.ts';
import { sleep } from '../../common/async/sleep.ts';
import type { ConnectResult, Host, TcpAddress } from '../../common/host.ts';
import { instanceId } from '../../common/instance.ts';
import { addressOf } from './announced.ts';
import type { Look, LostInstance } from './lost-instance.ts';

/** Milliseconds that one connection may take. */
export const lookDeadlineMs = 1_000;
/** Connections under way at the same time. */
const concurrentLooks = 64;
/** Hosts that are tried for comparison when a look fails: when many hosts die together, most of what is announced is dead too. */
const comparisons = 12;
/** Milliseconds for which the answer of one of them says that this host can see, and the silence of all that it cannot. */
const seesForMs = 2_000;
/** Looks at suspects begin up to this many milliseconds late, so that hosts do not look all at once. */
const jitterMs = 2_000;

/** What looks use of their surroundings. */
export interface LooksDeps {
  readonly host: Pick<Host, 'tryConnect'>;
  /** HAProxy's own check of each server of a service, by id; rejects or is empty when HAProxy cannot be asked. */
  readonly checks: (service: string) => Promise<ReadonlyMap<string, 'up' | 'down'>>;
  /** Where a service's servers are: its port override applied. */
  readonly addressOf: (service: string, lost: LostInstance) => TcpAddress;
  /** Addresses to compare with, the best first: of what is announced, then of what is lost. */
  readonly comparable: () => Iterable<TcpAddress>;
}

/** Looks at lost instances from this host: one TCP connection each, and HAProxy's own check. */
export class Looks {
  readonly #deps: LooksDeps;
  readonly #signal: AbortSignal;
  readonly #permits = new Semaphore(concurrentLooks);
  /** When something last answered, by host. */
  readonly #answeredAt = new Map<string, number>();
  /** The newest comparison, which all looks share that fail meanwhile and shortly after. */
  #comparison: { readonly done: Promise<void>; readonly until: number } | undefined;

  constructor(deps: LooksDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
  }

  /** Looks once. Never rejects; undefined when `signal` aborted meanwhile. */
  async at(service: string, lost: LostInstance): Promise<Look | undefined> {
    if (lost.phase === 'suspect') await sleep(clock.random() * jitterMs, this.#signal);
    const checks = this.#deps.checks(service).catch(() => new Map<string, 'up' | 'down'>());
    const address = this.#deps.addressOf(service, lost);
    const isChecked = lost.phase === 'suspect' && (await checks).has(idAt(lost, address));
    // HAProxy looks already: after the first look there are none of our own.
    const answer = isChecked ? 'answers' : await this.#permits.run(() => this.#try(address));
    const isBlind = answer !== 'answers' && !(await this.#sees(address));
    const seen = await checks;
    if (this.#signal.aborted) return undefined;
    const server = seen.get(idAt(lost, address)) ?? 'unknown';
    // A HAProxy that can reach nothing says no more than a synapse that cannot.
    const isTrusted = !isBlind || [...seen.values()].includes('up');
    return { answer, isBlind, server: server === 'down' && !isTrusted ? 'unknown' : server };
  }

  async #try(address: TcpAddress): Promise<ConnectResult> {
    const end = linkAbort(this.#signal);
    const timer = clock.setTimeout(() => end.abort(), lookDeadlineMs);
    try {
      const result = await this.#deps.host.tryConnect(address, end.signal);
      if (result === 'answers') this.#answeredAt.set(address.host, clock.now());
      return result;
    } finally {
      clock.clearTimeout(timer);
      end.release();
    }
  }

  /** True when something on another host answers: then the failure of a look at `failed` means something. */
  async #sees(failed: TcpAddress): Promise<boolean> {
    if (this.#sawOther(failed)) return true;
    const now = clock.now();
    if (this.#comparison === undefined || now >= this.#comparison.until) {
      this.#comparison = { done: this.#compare(), until: now + seesForMs };
    }
    await this.#comparison.done;
    return this.#sawOther(failed);
  }

  /** Tries one address on each of several hosts, all at once: together they take no longer than one. */
  async #compare(): Promise<void> {
    const others = new Map<string, TcpAddress>();
    for (const address of this.#deps.comparable()) {
      if (!others.has(address.host)) others.set(address.host, address);
      if (others.size === comparisons) break;
    }
    await Promise.all([...others.values()].map((address) => this.#try(address)));
  }

  #sawOther({ host: failed }: TcpAddress): boolean {
    const since = clock.now() - seesForMs;
    for (const [host, at] of this.#answeredAt) {
      if (at < since) this.#answeredAt.delete(host);
      else if (host !== failed) return true;
    }
    return false;
  }
}

/** The name of its server: its id, with the port and the address that are used. */
function idAt({ instance }: LostInstance, address: TcpAddress): string {
  const { name, host } = instance;
  if (address.host !== host) return instanceId(name || host.replace(/\.$/, ''), address.host, address.port);
  const own = addressOf(instance);
  const used = addressOf({ ...instance, ...address });
  return own === used ? instance.id : instance.id.replace(/:\d+$/, `:${address.port}`);
}
