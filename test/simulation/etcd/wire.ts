import type { Range, StoredKeyValue } from './store.ts';

/** A key as gRPC carries it. */
export function toWire(kv: StoredKeyValue) {
  return {
    key: Buffer.from(kv.key),
    value: kv.value,
    create_revision: String(kv.createRevision),
    mod_revision: String(kv.modRevision),
    version: String(kv.version),
    lease: kv.lease,
  };
}

/** The range of a request. */
export function rangeOf({ key, range_end }: { readonly key: Buffer; readonly range_end?: Buffer }): Range {
  return { key: text(key), end: range_end === undefined ? '' : text(range_end) };
}

/** The text of a key. Keys of the simulation are ASCII. */
export function text(bytes: Buffer): string {
  return bytes.toString('latin1');
}
