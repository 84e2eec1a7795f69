import type { Instance } from '../../common/instance.ts';
import { canonicalAddress, isLoopback } from '../../common/net/ip-words.ts';
import type { Listener } from '../output.ts';
import type { KnownName } from './known-name.ts';
import { NetworkRules, type Networks } from './networks.ts';
import { type Placed, type PlaceFacts, place } from './place.ts';

/** Which addresses the instances of a service may have. */
export interface AddressPolicy {
  /** Undefined: all but link-local addresses and those that are no address of a host. */
  readonly networks: Networks | undefined;
  /** True for instances of the operator's own configuration: they may be in any network. */
  readonly isTrusted: (candidate: Instance) => boolean;
}

/** What {@link Addressing} asks for. */
export interface AddressingDeps {
  /** What is known of a host name. */
  readonly look: (name: string) => KnownName | undefined;
  /** The address of an instance of a service with a host name in an earlier run. */
  readonly remembered?: (service: string, instance: Instance) => string | undefined;
  /** The IP addresses of this host. */
  readonly ownAddresses: () => readonly string[];
}

/** Refusals for one list of networks. */
interface Rules {
  readonly networks: NetworkRules | undefined;
  /** By instance, so that each is judged once. */
  readonly known: WeakMap<Instance, string | null>;
}

/** Puts instances at addresses: resolves their names, and refuses addresses to which traffic may not go. Does no I/O. */
export class Addressing {
  readonly #deps: AddressingDeps;
  #listeners: readonly Listener[] = [];
  #own: ReadonlySet<string> = new Set();
  /** By the list of networks. Others when the listeners or the addresses of this host change. */
  #rules = new Map<string, Rules>();
  /** The rules with which instances were placed. */
  readonly #placedWith = new WeakMap<Placed, Rules>();

  constructor(deps: AddressingDeps) {
    this.#deps = deps;
  }

  /** Takes what this host listens on. @returns true when that is not the same as before */
  listen(listeners: readonly Listener[]): boolean {
    const key = (all: readonly Listener[]): string => JSON.stringify(all);
    if (key(listeners) === key(this.#listeners)) return false;
    this.#listeners = listeners;
    this.#forget();
    return true;
  }

  /** Reads the addresses of this host again. @returns true when they are not the same as before */
  refresh(): boolean {
    const own = new Set(this.#deps.ownAddresses().map(canonicalAddress));
    if (own.size === this.#own.size && [...own].every((address) => this.#own.has(address))) return false;
    this.#own = own;
    this.#forget();
    return true;
  }

  /** Places the candidates of a service. `before`: what this method returned for the service last time. */
  place(
    candidates: readonly Instance[],
    { service, policy }: { readonly service: string; readonly policy: AddressPolicy },
    before?: Placed,
  ): Placed {
    const { networks, isTrusted } = policy;
    const rules = this.#rulesOf(networks);
    const facts: PlaceFacts = {
      look: this.#deps.look,
      remembered: (instance) => this.#deps.remembered?.(service, instance),
      refusal: (instance, candidate) => this.#refusal(instance, isTrusted(candidate) ? this.#rulesOf(null) : rules),
    };
    const isComparable = before !== undefined && this.#placedWith.get(before) === rules;
    const placed = place(candidates, facts, isComparable ? before : undefined);
    this.#placedWith.set(placed, rules);
    return placed;
  }

  #refusal(instance: Instance, { networks, known }: Rules): string | null {
    let refusal = known.get(instance);
    if (refusal === undefined) {
      refusal = networks?.refusal(instance.host) ?? this.#loop(instance);
      known.set(instance, refusal);
    }
    return refusal;
  }

  /** Why an instance would be this host's HAProxy or synapse itself; null when it is not. */
  #loop({ host, port }: Instance): string | null {
    const found = loopAt({ host, port }, this.#listeners, (address) => this.#own.has(canonicalAddress(address)));
    return found === undefined ? null : `and port ${port} are those of ${found.what} on this host: a loop`;
  }

  /** Null: all addresses are allowed. */
  #rulesOf(networks: Networks | undefined | null): Rules {
    const key = networks === null ? 'all' : networks === undefined ? 'default' : networks.join();
    let rules = this.#rules.get(key);
    if (rules === undefined) {
      rules = { networks: networks === null ? undefined : new NetworkRules(networks), known: new WeakMap() };
      this.#rules.set(key, rules);
    }
    return rules;
  }

  #forget(): void {
    this.#rules = new Map();
  }
}

/** The listener that an address and port lead to. `isOwn`: true for the addresses of this host, as far as they are known. */
export function loopAt(
  { host, port }: { readonly host: string; readonly port: number },
  listeners: readonly Listener[],
  isOwn: (address: string) => boolean,
): Listener | undefined {
  return listeners.find((listener) => {
    if (port < listener.firstPort || port > listener.lastPort) return false;
    if (listener.host === 'any') return isLoopback(host) || isOwn(host);
    return canonicalAddress(listener.host) === canonicalAddress(host);
  });
}
