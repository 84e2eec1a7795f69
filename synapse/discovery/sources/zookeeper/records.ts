import { compareText } from '../../../../common/compare.ts';
import { isObject } from '../../../../common/config/formats.ts';
import { type Instance, maxRecordBytes, parseInstance, readJson, takeRecord } from '../../../../common/instance.ts';
import { InvalidRecord } from '../../../../common/instance-fields.ts';
import { knownHint } from '../../../../common/nearest.ts';
import { quote } from '../../../../common/wording.ts';
import { InstanceSetBuilder } from '../../instance-set-builder.ts';

/** The format of a node's data. */
export interface Decode {
  readonly method: 'nerve' | 'serverset';
  /** For serversets: an additional endpoint to use instead of the main one. */
  readonly endpoint_name?: string;
}

/** The instances that the children of `path` announce; `nodes` has their data by name. */
export function readNodes(
  nodes: ReadonlyMap<string, Buffer>,
  { path, decode }: { readonly path: string; readonly decode: Decode },
): InstanceSetBuilder {
  const found = new InstanceSetBuilder();
  for (const [name, data] of [...nodes].sort(([a], [b]) => compareText(a, b))) {
    const where = `${path}/${name.length > 80 ? `${name.slice(0, 79)}…` : name}`;
    const read = decode.method === 'nerve' ? () => parseInstance(data) : () => readServerset(data, decode);
    // ZooKeeper's sequence number of the node; a node without one sorts last.
    const sequence = /_(\d+)$/.exec(name)?.[1];
    found.add(where, read, sequence === undefined ? Number.MAX_SAFE_INTEGER : Number(sequence));
  }
  return found;
}

/**
 * The record in a name `base64_<length>_<record>_<sequence>`, which SmartStack's nerve writes with `use_path_encoding`. Undefined
 * for other names, and when the record is not JSON or too large.
 */
export function decodeName(name: string): Buffer | undefined {
  const [head = '', digits = ''] = /^base64_(\d{1,6})_/.exec(name) ?? [];
  const end = head.length + Number(digits);
  if (head === '' || name[end] !== '_') return undefined;
  const data = Buffer.from(name.slice(head.length, end), 'base64url');
  try {
    readJson(data, maxRecordBytes);
    return data;
  } catch {
    return undefined;
  }
}

/** Reads a member of a Finagle serverset. */
function readServerset(data: Buffer, { endpoint_name: endpoint }: Decode): Instance {
  const member = readJson(data, maxRecordBytes);
  if (!isObject(member)) throw new InvalidRecord('must be an object with serviceEndpoint');
  const { serviceEndpoint, additionalEndpoints, status = 'ALIVE', shard } = member;
  if (status !== 'ALIVE')
    throw new InvalidRecord(`status is ${typeof status === 'string' ? status : quote(status)}, not ALIVE`);
  const others = isObject(additionalEndpoints) ? additionalEndpoints : {};
  const address = endpoint === undefined ? serviceEndpoint : Object.hasOwn(others, endpoint) && others[endpoint];
  if (!isObject(address)) throw new InvalidRecord(`it has no endpoint ${endpoint ?? 'serviceEndpoint'}`);
  return takeRecord({
    name: typeof shard === 'number' || typeof shard === 'string' ? String(shard) : '',
    host: address.host,
    port: address.port,
  });
}

/** Reads the option `decode`. @throws when it is not valid */
export function readDecode(value: unknown): Decode {
  const { method, endpoint_name: endpoint, ...unknown } = isObject(value) ? value : {};
  if (method !== 'nerve' && method !== 'serverset') throw new Error('decode.method must be nerve or serverset');
  const [key] = Object.keys(unknown);
  if (key !== undefined) throw new Error(`unknown key ${key}; ${knownHint(key, ['method', 'endpoint_name'])}`);
  if (endpoint === undefined || endpoint === null) return { method };
  if (typeof endpoint !== 'string') throw new Error('decode.endpoint_name must be a string');
  return { method, endpoint_name: endpoint };
}
