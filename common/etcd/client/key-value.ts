import { isUtf8 } from 'node:buffer';
import type { IEvent, IKeyValue } from 'etcd3/lib/rpc.js';

/** One key as etcd has it. Revisions and lease ids are etcd's 64-bit numbers as text; lease `0`: no lease. */
export interface Entry {
  /** As {@link keyText} reads it. */
  readonly key: string;
  readonly value: Buffer;
  readonly modRevision: string;
  readonly createRevision: string;
  readonly lease: string;
}

/** Makes an entry of etcd's own form. */
export function toEntry(kv: IKeyValue): Entry {
  return {
    key: keyText(kv.key),
    value: kv.value,
    modRevision: kv.mod_revision,
    createRevision: kv.create_revision,
    lease: kv.lease,
  };
}

/** The first of the 128 lone surrogates that stand for the bytes 0x80 to 0xff; UTF-8 has no surrogates. */
const escapedByte = 0xdc80;

/**
 * A key as text. Keys of etcd are bytes: each byte above 0x7f of a key that is not UTF-8 becomes a lone surrogate (as in Python's
 * `surrogateescape`), so that two keys never have one text, and {@link keyBytes} finds the key again.
 */
export function keyText(key: Buffer): string {
  if (isUtf8(key)) return key.toString();
  let text = '';
  for (const byte of key) text += String.fromCharCode(byte < 0x80 ? byte : escapedByte + byte - 0x80);
  return text;
}

/** The bytes of a key that {@link keyText} has read. */
export function keyBytes(text: string): Buffer {
  if (!/\p{Cs}/u.test(text)) return Buffer.from(text);
  return Buffer.from(
    text.replace(/\p{Cs}/gu, (unit) => String.fromCharCode(unit.charCodeAt(0) - escapedByte + 0x80)),
    'latin1',
  );
}

/** True when both are the same version of a key. With equal revisions they still differ between two histories. */
export function sameEntry(a: Entry, b: Entry): boolean {
  return (
    a.modRevision === b.modRevision &&
    a.createRevision === b.createRevision &&
    a.lease === b.lease &&
    a.value.equals(b.value)
  );
}

/** True when a key was written, false when it was deleted. The types are text, although etcd3 declares numbers. */
export function isPut({ type }: IEvent): boolean {
  return /^put$/i.test(type as string);
}

/** The range of one key alone. */
export function keyRange(key: string): KeyRange {
  return { key: keyBytes(key), end: Buffer.alloc(0) };
}

/** etcd's range of all keys that start with `prefix`: from `key` up to, not including, `end`. */
export interface KeyRange {
  readonly key: Buffer;
  readonly end: Buffer;
}

/** The range of all keys that start with `prefix`; the empty prefix is every key. */
export function prefixRange(prefix: string): KeyRange {
  const key = Buffer.from(prefix);
  for (let index = key.length - 1; index >= 0; index -= 1) {
    const byte = key[index] as number;
    if (byte === 0xff) continue;
    const end = Buffer.from(key.subarray(0, index + 1));
    end[index] = byte + 1;
    return { key, end };
  }
  // etcd's API: `\0` as the end means all keys from the first on.
  return { key: key.length === 0 ? Buffer.from([0]) : key, end: Buffer.from([0]) };
}

/** A lease id in hexadecimal, as `etcdctl lease` prints it. */
export function hex(id: string): string {
  return BigInt(id).toString(16);
}
