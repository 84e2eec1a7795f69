import { isIP, isIPv4 } from 'node:net';

/** Eight words of 16 bits; an IPv4 address is the IPv6 address that is mapped to it (RFC 4291, section 2.5.5.2). */
export type Words = readonly number[];

/** The bits before the IPv4 address in a mapped address. */
export const mappedBits = 96;

function mapped(high: number, low: number): Words {
  return [0, 0, 0, 0, 0, 0xffff, high, low];
}

/** True for an IPv4 address, in all its spellings. */
export function isMapped(words: Words): boolean {
  return words[5] === 0xffff && words[0] === 0 && words[1] === 0 && words[2] === 0 && words[3] === 0 && words[4] === 0;
}

/** True when all bits behind the first `bits` are 0. */
export function isFirst(words: Words, bits: number): boolean {
  return words.every((word, index) => (word & (0xffff >> Math.min(16, Math.max(0, bits - 16 * index)))) === 0);
}

/** True when the first `bits` bits are the same. */
export function sharesBits(a: Words, b: Words, bits: number): boolean {
  for (let index = 0; index < 8 && 16 * index < bits; index++) {
    const shift = Math.max(0, 16 * (index + 1) - bits);
    if ((a[index] ?? 0) >> shift !== (b[index] ?? 0) >> shift) return false;
  }
  return true;
}

/** An IP address as words. */
export function wordsOf(address: string): Words {
  if (isIPv4(address)) return mapped(...wordsOfIPv4(address));
  const [left = '', right] = address.split('::');
  const front = groupsOf(left);
  const back = right === undefined ? [] : groupsOf(right);
  return [...front, ...Array<number>(8 - front.length - back.length).fill(0), ...back];
}

function groupsOf(text: string): readonly number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => (group.includes('.') ? wordsOfIPv4(group) : [Number.parseInt(group, 16)]));
}

function wordsOfIPv4(address: string): readonly [number, number] {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  return [(a << 8) | b, (c << 8) | d];
}

const embeddingPrefixes: readonly Words[] = ['::', '::ffff:0:0:0', '64:ff9b::'].map(wordsOf);

/**
 * The IPv4 address that another address stands for: compatible (RFC 4291, section 2.5.5.1), translated (RFC 2765, RFC 6052)
 * and 6to4 (RFC 3056). Undefined for all others, and for :: and ::1.
 */
export function embeddedIPv4(words: Words): Words | undefined {
  const is6to4 = words[0] === 0x2002;
  const [high = 0, low = 0] = is6to4 ? words.slice(1) : words.slice(6);
  if (!is6to4 && !embeddingPrefixes.some((prefix) => sharesBits(prefix, words, mappedBits))) return undefined;
  const isAlone = words.every((word, index) => (index < 7 ? word === 0 : word <= 1));
  return isAlone ? undefined : mapped(high, low);
}

/** The same text for all spellings of an IP address. */
export function canonicalAddress(address: string): string {
  return wordsOf(address).join();
}

/** True for `localhost` and for an address of this host that {@link isLoopback} knows; without brackets and port. */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || (isIP(host) !== 0 && isLoopback(host));
}

/** True for 127.0.0.0/8 and ::1, in all their spellings. The address must be valid. */
export function isLoopback(address: string): boolean {
  const words = wordsOf(address);
  if (isMapped(words)) return (words[6] ?? 0) >> 8 === 127;
  return words.every((word, index) => word === (index === 7 ? 1 : 0));
}
