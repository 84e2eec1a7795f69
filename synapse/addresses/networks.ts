import { isIP, isIPv4 } from 'node:net';
import {
  embeddedIPv4,
  isFirst,
  isMapped,
  mappedBits,
  sharesBits,
  type Words,
  wordsOf,
} from '../../common/net/ip-words.ts';

/** A list of networks in CIDR notation, checked: `10.0.0.0/8`, `2001:db8::/32`. */
export type Networks = readonly string[];

/** Reads `instance_networks`. @throws naming the entry that is no network, and what is allowed */
export function readNetworks(value: unknown): Networks {
  if (!Array.isArray(value) || value.length === 0) {
    throw new Error('must be a list of networks, such as [10.0.0.0/8, 2001:db8::/32]');
  }
  return value.map((entry) => {
    const { address, prefix } = parseNetwork(entry);
    return `${address}/${prefix}`;
  });
}

function parseNetwork(entry: unknown): { readonly address: string; readonly prefix: number } {
  const text = typeof entry === 'string' ? entry.trim() : '';
  const [, address = '', given] = /^([^/]+)(?:\/([0-9]{1,3}))?$/.exec(text) ?? [];
  const longest = isIPv4(address) ? 32 : 128;
  const prefix = given === undefined ? longest : Number(given);
  const shown = JSON.stringify(entry)?.slice(0, 80);
  if (isIP(address) === 0 || address.includes('%') || prefix > longest) {
    throw new Error(`${shown} is no network: write ADDRESS/LENGTH, such as 10.0.0.0/8 or 2001:db8::/32`);
  }
  if (!isFirst(wordsOf(address), bitsOf(address, prefix))) {
    throw new Error(`${shown}: ${address} has bits behind the first ${prefix}; write the first address of the network`);
  }
  return { address, prefix };
}

/** Networks to look addresses up in. Addresses are compared as numbers, so that spellings do not matter. */
export class NetworkList {
  readonly #networks: readonly { readonly words: Words; readonly bits: number }[];

  constructor(networks: Networks) {
    this.#networks = networks.map((network) => {
      const [address = '', prefix] = network.split('/');
      return { words: wordsOf(address), bits: bitsOf(address, Number(prefix)) };
    });
  }

  /** True when one of the networks has this address. IPv4 addresses, in all their spellings, are in no wider IPv6 network. */
  has(address: Words): boolean {
    const least = isMapped(address) ? mappedBits : 0;
    return this.#networks.some(({ words, bits }) => bits >= least && sharesBits(words, address, bits));
  }
}

/** Where no instance may be, whatever the configuration says, with what each network is. */
const neverUsed: readonly (readonly [networks: Networks, what: string])[] = [
  [['0.0.0.0/8', '::/128'], 'is no address of a host (unspecified)'],
  [['224.0.0.0/4', 'ff00::/8'], 'is a multicast address'],
  [['255.255.255.255/32'], 'is the broadcast address'],
];
/** Where instances may be only if `instance_networks` has a network within it: the services of the cloud for this host. */
const linkLocal: Networks = ['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::/32'];

const neverUsedLists = neverUsed.map(([networks, what]) => [new NetworkList(networks), what] as const);
const linkLocalList = new NetworkList(linkLocal);

/** Says which addresses instances may have. */
export class NetworkRules {
  readonly #allowed: NetworkList | undefined;
  readonly #linkLocal: NetworkList;

  /** `networks`: undefined: all but those that are never used, and link-local ones. */
  constructor(networks: Networks | undefined) {
    this.#allowed = networks && new NetworkList(networks);
    this.#linkLocal = new NetworkList((networks ?? []).filter(isWithinLinkLocal));
  }

  /** Why instances may not have this IP address, to follow `its address ADDRESS`; null when they may. */
  refusal(address: string): string | null {
    const words = wordsOf(address);
    // A gateway or the kernel takes some IPv6 addresses for an IPv4 address: that one counts too.
    const embedded = embeddedIPv4(words);
    for (const each of embedded === undefined ? [words] : [words, embedded]) {
      const never = neverUsedLists.find(([list]) => list.has(each));
      if (never !== undefined) return never[1];
      if (linkLocalList.has(each) && !this.#linkLocal.has(each)) return 'is link-local';
    }
    if (this.#allowed === undefined || this.#allowed.has(words)) return null;
    return 'is outside of instance_networks';
  }
}

function isWithinLinkLocal(network: string): boolean {
  const [address = '', prefix = ''] = network.split('/');
  const shortest = isIPv4(address) ? 16 : address.toLowerCase().startsWith('fd') ? 32 : 10;
  return linkLocalList.has(wordsOf(address)) && Number(prefix) >= shortest;
}

function bitsOf(address: string, prefix: number): number {
  return isIPv4(address) ? prefix + mappedBits : prefix;
}
