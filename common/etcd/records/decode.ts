import { parseBoundedJson } from '../../bounded-json.ts';
import { isObject } from '../../config/formats.ts';
import { anyText, type JsonSchema } from '../../config/json-values.ts';
import { checkSize, type Instance, makeInstance, maxRecordBytes, parseInstance, takeInstance } from '../../instance.ts';
import { InvalidRecord } from '../../instance-fields.ts';
import { knownHint } from '../../nearest.ts';

/** How a value in etcd becomes an instance. */
export interface Decode {
  /** `nerve`: what nerve writes; `json`: any JSON, with the paths below; `address`: plain `host:port`. */
  readonly method: 'nerve' | 'json' | 'address';
  /** Where the host is in the JSON, such as `address.ip` or `endpoints[0].host`. */
  readonly host?: string;
  readonly port?: string;
  readonly name?: string;
  readonly weight?: string;
  /** With `nerve`: takes records under any key, and not only under their own names. */
  readonly any_key?: boolean;
}

const paths = ['host', 'port', 'name', 'weight'] as const;

/** What {@link readDecode} takes. */
export const decodeJson: JsonSchema = {
  type: 'object',
  properties: {
    method: { enum: ['nerve', 'json', 'address'] },
    any_key: { type: 'boolean' },
    ...Object.fromEntries(paths.map((key) => [key, anyText])),
  },
  required: ['method'],
  additionalProperties: false,
};

/** Checks the option `decode`. @throws saying what is allowed */
export function readDecode(value: unknown): Decode {
  const { method, ...given } = isObject(value) ? value : {};
  if (method !== 'nerve' && method !== 'json' && method !== 'address') {
    throw new Error('decode.method must be nerve, json or address');
  }
  const { any_key, ...found } = given;
  if (any_key !== undefined && typeof any_key !== 'boolean') throw new Error('decode.any_key must be true or false');
  if (any_key !== undefined && method !== 'nerve') {
    throw new Error('decode.any_key is only used with method nerve: the other methods take any key');
  }
  for (const [key, path] of Object.entries(found)) {
    if (!(paths as readonly string[]).includes(key))
      throw new Error(`unknown key ${key}; ${knownHint(key, ['method', 'any_key', ...paths])}`);
    if (method !== 'json') throw new Error(`decode.${key} is only used with method json`);
    if (typeof path !== 'string' || stepsOf(path) === undefined) {
      throw new Error(`decode.${key} must be a path such as address.ip or endpoints[0].host`);
    }
  }
  if (method === 'nerve') return { method, ...(any_key === true && { any_key }) };
  return method === 'json' ? { method, host: 'host', port: 'port', ...found } : { method };
}

/** Reads one value. @throws {InvalidRecord} when it cannot be used */
export function decodeValue(value: Buffer, decode: Decode, maxBytes: number = maxRecordBytes): Instance {
  if (decode.method === 'nerve') return parseInstance(value, maxBytes);
  checkSize(value, maxBytes);
  return decode.method === 'address' ? readAddress(value.toString()) : readJson(value.toString(), decode);
}

/** `host:port`, an IPv6 address in brackets. */
function readAddress(text: string): Instance {
  const match = /^\s*(?:\[([0-9A-Fa-f:.]+)\]|([^:\s]+)):(\d{1,5})\s*$/.exec(text);
  if (match === null) throw new InvalidRecord(`${JSON.stringify(text.slice(0, 80))}: must be host:port`);
  return makeInstance({ host: match[1] ?? match[2] ?? '', port: Number(match[3]) });
}

function readJson(text: string, { host = '', port = '', name, weight }: Decode): Instance {
  let record: unknown;
  try {
    record = parseBoundedJson(text);
  } catch (error) {
    if (error instanceof RangeError) throw new InvalidRecord(error.message);
    throw new InvalidRecord('not JSON', { cause: error });
  }
  const found = weight === undefined ? undefined : valueAt(record, weight);
  const called = name === undefined ? undefined : valueAt(record, name);
  return takeInstance({
    host: valueAt(record, host),
    port: toNumber(valueAt(record, port)),
    // A name of digits is a number in JSON.
    name: typeof called === 'number' ? String(called) : called,
    weight: toNumber(found),
  });
}

/** The keys and indices of a path; undefined when the text is no path. A leading `$` stands for the whole value. */
function stepsOf(path: string): readonly (string | number)[] | undefined {
  const text = path.replace(/^\$\.?/, '');
  if (!/^(?:[^.[\]]+|\[\d+\])(?:\.[^.[\]]+|\[\d+\])*$/.test(text)) return undefined;
  return [...text.matchAll(/\[(\d+)\]|([^.[\]]+)/g)].map(([, index, key]) =>
    index === undefined ? (key ?? '') : Number(index),
  );
}

function valueAt(record: unknown, path: string): unknown {
  let value = record;
  for (const step of stepsOf(path) ?? []) {
    if (typeof step === 'number' ? !Array.isArray(value) : !isObject(value)) return undefined;
    // Own properties only: the JSON has no others.
    value = Object.hasOwn(value as object, step) ? (value as Record<string | number, unknown>)[step] : undefined;
  }
  return value;
}

function toNumber(value: unknown): unknown {
  return typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value;
}
