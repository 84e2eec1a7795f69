import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Announcer, CloseOptions, OnLeftover } from '../../../nerve/announce/announcer.ts';
import type { OperatorChanges } from '../../../nerve/announce/operator-store.ts';
import type { Registry } from '../../../nerve/announce/registries.ts';
import { Nerve } from '../../../nerve/nerve.ts';
import { recordingLog } from '../process/recording-log.ts';

/** A registry in memory. A test can make it unreachable, or let it report an error. */
export class MemoryRegistry implements Announcer {
  readonly calls: string[] = [];
  /** The state of each announced instance, by key. */
  readonly shown = new Map<string, string>();
  unreachable = false;
  closed = false;
  kept = false;
  error: string | null = null;
  readonly onLeftover: OnLeftover;
  readonly #waiting: (() => void)[] = [];
  readonly #name: string;
  readonly #allCalls: string[];

  /** `allCalls` gets the calls to all registries of a test, each with the registry's name. */
  constructor(name: string, allCalls: string[], onLeftover: OnLeftover) {
    this.#name = name;
    this.#allCalls = allCalls;
    this.onLeftover = onLeftover;
  }

  announce(key: string, { state }: { readonly state: string }): void {
    this.#record(`announce ${short(key)} ${state}`);
    this.shown.set(key, state);
  }

  withdraw(key: string): void {
    this.#record(`withdraw ${short(key)}`);
    this.shown.delete(key);
  }

  settled(signal: AbortSignal): Promise<void> {
    if (!this.unreachable) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push(resolve);
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  }

  /** Makes it reachable again. */
  recover(): void {
    this.unreachable = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  status(key: string) {
    return { announced: this.shown.has(key), reason: null, error: this.error };
  }

  get lease() {
    if (this.unreachable) return { id: null, held: false, reason: 'unreachable' };
    return { id: '1', held: true, reason: null };
  }

  async close({ keep = false }: CloseOptions): Promise<void> {
    this.#record(keep ? 'close, keep' : 'close');
    this.kept = keep;
    this.closed = true;
    this.shown.clear();
  }

  #record(call: string): void {
    this.calls.push(call);
    this.#allCalls.push(`${this.#name}: ${call}`);
  }
}

/** What an operator changed, in memory. */
export function memoryChanges(remembered = false, names: readonly string[] = []): OperatorChanges {
  const drained = new Set(names);
  const weights = new Map<string, number>();
  return {
    remembered,
    drainedSince: (name) => (drained.has(name) ? '2026-11-23T12:00:00Z' : undefined),
    setDrained: (name, drain) => void (drain ? drained.add(name) : drained.delete(name)),
    weightOf: (name) => weights.get(name),
    setWeight: (name, weight) => void (weight === undefined ? weights.delete(name) : weights.set(name, weight)),
    saved: async () => null,
  };
}

/** A nerve whose registries are in memory. */
export function startNerve(t: TestContext, operator = memoryChanges()) {
  const calls: string[] = [];
  const registries = new Map<string, MemoryRegistry>();
  const connect = ({ etcd, ttlSeconds }: Registry, onLeftover: OnLeftover): Announcer => {
    const name = `${String(etcd.hosts).replace('http://127.0.0.1:', '')}/${ttlSeconds}`;
    const registry = new MemoryRegistry(name, calls, onLeftover);
    registries.set(name, registry);
    return registry;
  };
  const { log, lines } = recordingLog();
  const nerve = new Nerve({ log, connect, operator });
  t.after(() => nerve.close(1000));
  /** The registry of a configuration that names none. */
  const main = (): MemoryRegistry => {
    const found = registries.get('2379/10');
    assert.ok(found);
    return found;
  };
  return { nerve, calls, registries, main, lines, operator };
}

function short(key: string): string {
  return key.replace('/nerve/services/', '').replace('i-1_10.0.0.1', '');
}
