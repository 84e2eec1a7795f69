import { isObject } from '../../../../common/config/formats.ts';
import { type Instance, InvalidRecord, makeInstance, parseInstance } from '../../../../common/instance.ts';
import { Findings } from '../../instance-set-builder.ts';

/** How the data of a node reads. */
export interface Decode {
  readonly method: 'nerve' | 'serverset';
  /** Serversets: one of the additional endpoints, in place of the main one. */
  readonly endpoint_name?: string;
}

/** What the children of `path` announce; what they hold by their names. */
export function readNodes(
  nodes: ReadonlyMap<string, Buffer>,
  { path, decode }: { readonly path: string; readonly decode: Decode },
): Findings {
  const found = new Findings();
  for (const [name, data] of [...nodes].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const where = `${path}/${name.length > 80 ? `${name.slice(0, 79)}…` : name}`;
    const read = decode.method === 'nerve' ? () => parseInstance(data) : () => readServerset(data, decode);
    // The sequence number that ZooKeeper gives a node; one without is as late as can be.
    const sequence = /_(\d+)$/.exec(name)?.[1];
    found.add(where, read, sequence === undefined ? Number.MAX_SAFE_INTEGER : Number(sequence));
  }
  return found;
}

/**
 * `base64_<length>_<record>_<sequence>`: nerve's `use_path_encoding` puts the record into the name, URL-safe. Undefined
 * when it is no such name, or holds no JSON.
 */
export function decodeName(name: string): Buffer | undefined {
  const [head = '', digits = ''] = /^base64_(\d{1,6})_/.exec(name) ?? [];
  const end = head.length + Number(digits);
  if (head === '' || name[end] !== '_') return undefined;
  const data = Buffer.from(name.slice(head.length, end), 'base64url');
  try {
    JSON.parse(data.toString());
    return data;
  } catch {
    return undefined;
  }
}

/** A member of a Finagle serverset. */
function readServerset(data: Buffer, { endpoint_name: endpoint }: Decode): Instance {
  let member: unknown;
  try {
    member = JSON.parse(data.toString());
  } catch (error) {
    throw new InvalidRecord('not JSON', { cause: error });
  }
  if (!isObject(member)) throw new InvalidRecord('must be an object with serviceEndpoint');
  const { serviceEndpoint, additionalEndpoints, status = 'ALIVE', shard } = member;
  if (status !== 'ALIVE') throw new InvalidRecord(`status is ${String(status)}, not ALIVE`);
  const others = isObject(additionalEndpoints) ? additionalEndpoints : {};
  const chosen = endpoint === undefined ? serviceEndpoint : Object.hasOwn(others, endpoint) && others[endpoint];
  if (!isObject(chosen)) throw new InvalidRecord(`it has no endpoint ${endpoint ?? 'serviceEndpoint'}`);
  return makeInstance({
    name: typeof shard === 'number' || typeof shard === 'string' ? String(shard) : '',
    host: chosen.host as string,
    port: Number(chosen.port),
  });
}

/** Reads the option `decode`. @throws saying what is wrong with it */
export function readDecode(value: unknown): Decode {
  const { method, endpoint_name: endpoint, ...unknown } = isObject(value) ? value : {};
  if (method !== 'nerve' && method !== 'serverset') throw new Error('decode.method must be nerve or serverset');
  const [key] = Object.keys(unknown);
  if (key !== undefined) throw new Error(`unknown key ${key}; known are method, endpoint_name`);
  if (endpoint === undefined || endpoint === null) return { method };
  if (typeof endpoint !== 'string') throw new Error('decode.endpoint_name must be a string');
  return { method, endpoint_name: endpoint };
}
