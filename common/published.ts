import { parseBoundedJson } from './bounded-json.ts';
import { isObject } from './config/formats.ts';
import { maxRecordBytes } from './instance.ts';

/** A JSON object that is published under one key. */
export interface Published {
  readonly where: string;
  readonly value: Readonly<Record<string, unknown>>;
  /** Why the key holds no JSON object; the value is empty then. */
  readonly broken?: string;
}

/** Reads the value of a key. @throws when it is too large, nested too deeply or not a JSON object */
export function readDocument(where: string, text: Buffer): Published {
  if (text.length > maxRecordBytes) throw new Error(`${text.length} bytes: at most ${maxRecordBytes} are read`);
  let value: unknown;
  try {
    value = parseBoundedJson(text.toString());
  } catch (error) {
    if (error instanceof RangeError) throw error;
    throw new Error('not JSON', { cause: error });
  }
  if (!isObject(value)) throw new Error('must be a JSON object');
  return { where, value };
}
